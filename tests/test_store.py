"""Files are kept once by their content, whole or not at all, and go when nothing refers to them."""

import errno
import hashlib
from pathlib import Path

import pytest

from pincite.errors import UnknownDocument
from pincite.store import Store, parsed_name, sha256_of_file

DATA = b"the bytes of a document"
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path)
    made.prepare()
    return made


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def keep(store: Store, data: bytes) -> Path:
    received = store.incoming / "upload"
    received.write_bytes(data)
    kept = store.keep_original(hashlib.sha256(data).hexdigest(), received)
    received.unlink()
    return kept


def test_an_original_is_found_by_its_sha256(store: Store) -> None:
    keep(store, DATA)
    assert store.original(SHA256).read_bytes() == DATA
    assert sha256_of_file(store.original(SHA256)) == SHA256


def test_the_same_content_is_kept_once(store: Store, tmp_path: Path) -> None:
    keep(store, DATA)
    keep(store, DATA)
    assert len(files(tmp_path)) == 1


def test_a_received_file_stays_until_its_owner_removes_it(store: Store, tmp_path: Path) -> None:
    for attempt in range(2):
        received = store.incoming / f"upload-{attempt}"
        received.write_bytes(DATA)
        assert store.keep_original(SHA256, received).read_bytes() == DATA
        assert files(tmp_path) == sorted([store.original(SHA256), received])
        received.unlink()


def test_a_received_file_is_copied_where_it_cannot_be_linked(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    keep(store, DATA)
    assert files(tmp_path) == [store.original(SHA256)]
    assert store.original(SHA256).read_bytes() == DATA


def test_originals_are_for_the_owner_alone(store: Store) -> None:
    assert keep(store, DATA).stat().st_mode & 0o077 == 0


def test_a_missing_original_is_named_as_missing(store: Store) -> None:
    with pytest.raises(UnknownDocument, match="add the document again"):
        store.original(SHA256)


def test_a_file_that_someone_is_about_to_refer_to_is_not_removed(store: Store) -> None:
    name = parsed_name(SHA256, "a.txt", "1")
    with store.hold(SHA256, name):
        keep(store, DATA)
        store.put_parsed(name, b"parsed")
        with store.hold(SHA256, name):
            pass
        store.remove(sha256=SHA256)
        store.remove(parsed=name)
        assert store.original(SHA256).is_file()
        assert store.parsed(name).is_file()
    store.remove(sha256=SHA256)
    store.remove(parsed=name)
    assert not store.parsed(name).exists()


def test_the_sweep_removes_what_nothing_refers_to(store: Store, tmp_path: Path) -> None:
    keep(store, DATA)
    store.put_parsed("ab-lost.arrow", b"parsed")
    half_written = store.original(SHA256).with_name(SHA256 + ".1234.new")
    half_written.write_bytes(b"half")
    assert store.sweep({SHA256}, set()) == 2
    assert files(tmp_path) == [store.original(SHA256)]


def test_what_was_half_received_is_cleared_away_at_start(store: Store) -> None:
    for name in ("waits", "lost"):
        (store.incoming / name).write_bytes(DATA)
    store.prepare(kept={"waits"})
    assert [path.name for path in store.incoming.iterdir()] == ["waits"]


def test_a_parse_is_named_by_content_file_name_and_parser() -> None:
    names = {
        parsed_name(SHA256, "a.txt", "1"),
        parsed_name(SHA256, "a.md", "1"),
        parsed_name(SHA256, "a.txt", "2"),
        parsed_name("00" * 32, "a.txt", "1"),
    }
    assert len(names) == 4
    assert all("/" not in name for name in names)
