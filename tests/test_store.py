"""Files are kept once by their content, whole or not at all, and go when nothing refers to them."""

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


def test_an_original_is_found_by_its_sha256(store: Store) -> None:
    store.put_original(SHA256, DATA)
    assert store.original(SHA256).read_bytes() == DATA
    assert sha256_of_file(store.original(SHA256)) == SHA256


def test_the_same_content_is_kept_once(store: Store, tmp_path: Path) -> None:
    store.put_original(SHA256, DATA)
    store.put_original(SHA256, DATA)
    assert len(files(tmp_path)) == 1


def test_a_received_file_is_moved_in(store: Store, tmp_path: Path) -> None:
    for attempt in range(2):
        received = store.incoming / f"upload-{attempt}"
        received.write_bytes(DATA)
        assert store.adopt_original(SHA256, received).read_bytes() == DATA
        assert files(tmp_path) == [store.original(SHA256)]


def test_originals_are_for_the_owner_alone(store: Store) -> None:
    received = store.incoming / "upload"
    received.write_bytes(b"other")
    adopted = store.adopt_original(hashlib.sha256(b"other").hexdigest(), received)
    for path in (adopted, store.put_original(SHA256, DATA)):
        assert path.stat().st_mode & 0o077 == 0


def test_a_missing_original_is_named_as_missing(store: Store) -> None:
    with pytest.raises(UnknownDocument, match="add the document again"):
        store.original(SHA256)


def test_a_file_that_someone_is_about_to_refer_to_is_not_removed(store: Store) -> None:
    name = parsed_name(SHA256, "a.txt", "1")
    with store.hold(SHA256, name):
        store.put_original(SHA256, DATA)
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
    store.put_original(SHA256, DATA)
    store.put_parsed("ab-lost.arrow", b"parsed")
    half_written = store.original(SHA256).with_name(SHA256 + ".1234.new")
    half_written.write_bytes(b"half")
    assert store.sweep({SHA256}, set()) == 2
    assert files(tmp_path) == [store.original(SHA256)]


def test_what_was_half_received_is_cleared_away_at_start(store: Store) -> None:
    (store.incoming / "upload").write_bytes(DATA)
    store.prepare()
    assert not list(store.incoming.iterdir())


def test_a_parse_is_named_by_content_file_name_and_parser() -> None:
    names = {
        parsed_name(SHA256, "a.txt", "1"),
        parsed_name(SHA256, "a.md", "1"),
        parsed_name(SHA256, "a.txt", "2"),
        parsed_name("00" * 32, "a.txt", "1"),
    }
    assert len(names) == 4
    assert all("/" not in name for name in names)
