"""Rights are denied unless given, and a viewer's link opens one document for one reader for a time."""

from pathlib import Path

import pytest

from pincite.access import Principal, ViewSigner, hash_api_key, new_api_key
from pincite.errors import NotAuthenticated, NotPermitted, UnknownDocument


def principal(*scopes: str, knowledge_bases: frozenset[str] | None = None) -> Principal:
    return Principal("key_1", "a tester", frozenset(scopes), knowledge_bases)


def test_a_key_without_scopes_may_nothing() -> None:
    nobody = principal()
    assert not nobody.may_read("kb_1")
    with pytest.raises(NotPermitted):
        nobody.require_write("kb_1")
    with pytest.raises(NotPermitted):
        nobody.require_admin()


def test_writing_does_not_imply_reading() -> None:
    assert not principal("write").may_read("kb_1")


def test_the_administrator_may_everything() -> None:
    administrator = principal("admin")
    assert administrator.may_read("kb_1")
    administrator.require_write("kb_1")
    administrator.require_admin()


def test_a_key_reaches_only_its_knowledge_bases() -> None:
    limited = principal("read", "write", knowledge_bases=frozenset({"kb_1"}))
    assert limited.may_read("kb_1")
    assert not limited.may_read("kb_2")
    with pytest.raises(NotPermitted):
        limited.require_write("kb_2")


def test_only_the_local_owner_is_local() -> None:
    assert Principal.system().local
    assert not principal("admin").local


def test_keys_are_random_and_long() -> None:
    keys = {new_api_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key) >= 40 for key in keys)
    assert len({hash_api_key(key) for key in keys}) == 100


def test_a_link_opens_its_document_for_its_reader() -> None:
    signer = ViewSigner(b"secret")
    assert signer.open(signer.sign("key_1", "doc_1", 60), "doc_1") == "key_1"


def test_a_link_opens_no_other_document() -> None:
    signer = ViewSigner(b"secret")
    with pytest.raises(UnknownDocument):
        signer.open(signer.sign("key_1", "doc_1", 60), "doc_2")


def test_a_link_expires() -> None:
    now = 1000.0
    signer = ViewSigner(b"secret", now=lambda: now)
    token = signer.sign("key_1", "doc_1", 60)
    now = 1059.0
    assert signer.open(token, "doc_1") == "key_1"
    now = 1060.0
    with pytest.raises(NotAuthenticated, match="expired"):
        signer.open(token, "doc_1")


def test_a_link_of_another_server_is_refused() -> None:
    with pytest.raises(NotAuthenticated):
        ViewSigner(b"secret").open(ViewSigner(b"other").sign("key_1", "doc_1", 60), "doc_1")


def test_no_changed_character_of_a_link_is_accepted() -> None:
    signer = ViewSigner(b"secret")
    token = signer.sign("key_1", "doc_1", 60)
    for place in range(len(token)):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        if changed.rstrip("AB") == token.rstrip("AB"):
            continue  # the last character of base64 has bits that mean nothing
        with pytest.raises(NotAuthenticated):
            signer.open(changed, "doc_1")


@pytest.mark.parametrize("token", ["", ".", "a", "a.b", "a.b.c", "é.é", "AAAA.AAAA", " . "])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(NotAuthenticated):
        ViewSigner(b"secret").open(token, "doc_1")


def test_the_secret_is_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "view.key"
    token = ViewSigner.from_file(path, create=True).sign("key_1", "doc_1", 60)
    assert path.stat().st_mode & 0o777 == 0o600
    assert ViewSigner.from_file(path, create=True).open(token, "doc_1") == "key_1"


def test_a_reader_of_a_new_folder_makes_no_secret(tmp_path: Path) -> None:
    ViewSigner.from_file(tmp_path / "view.key", create=False)
    assert not list(tmp_path.iterdir())
