"""`pincite openwebui` where something is missing: one line that says what, before anything is changed."""

import io

import pytest

from tests.cli.conftest import Pincite

NOBODY = ("--url", "http://127.0.0.1:9", "--token", "sk-any")


@pytest.mark.parametrize("verb", ["install", "status", "uninstall"])
def test_without_an_open_webui_the_address_is_named(pincite_command: Pincite, verb: str) -> None:
    ran = pincite_command("openwebui", verb, *NOBODY)
    assert ran.code == 1
    assert ran.err == "pincite: There is no Open WebUI that answers at http://127.0.0.1:9; is it running?\n"


def test_a_mirror_needs_the_server(pincite_command: Pincite) -> None:
    ran = pincite_command("openwebui", "sync", *NOBODY)
    assert ran.code == 1
    assert "start one with `pincite serve`" in ran.err


def test_the_token_can_come_from_the_environment(pincite_command: Pincite, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pincite_command("openwebui", "status").code == 2
    monkeypatch.setenv("OPENWEBUI_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENWEBUI_TOKEN", "sk-any")
    assert pincite_command("openwebui", "status").code == 1


def test_without_a_token_somebody_has_to_sign_in(pincite_command: Pincite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    ran = pincite_command("openwebui", "install", "--url", "http://127.0.0.1:9")
    assert ran.code == 2
    assert "OPENWEBUI_TOKEN, or e-mail address and password" in ran.err
    monkeypatch.setattr("sys.stdin", io.StringIO("admin@example.com\nsecret\n"))
    ran = pincite_command("openwebui", "install", "--url", "http://127.0.0.1:9")
    assert ran.code == 1
    assert ran.err.startswith("pincite: There is no Open WebUI that answers at http://127.0.0.1:9")
