"""The secrets of an installation are its own, stay, and are read by nobody else."""

from pathlib import Path

from installation import Installation


def test_a_secret_is_made_once_and_differs_from_every_other(tmp_path: Path) -> None:
    folder = tmp_path / "installation"
    first = Installation(folder)
    made = {name: first.secret(name) for name in ("password", "key")}
    again = Installation(folder)
    assert {name: again.secret(name) for name in made} == made
    assert made["password"] != made["key"]
    assert {len(secret) for secret in made.values()} == {32}
    assert Installation(tmp_path / "another").secret("key") not in made.values()


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "installation"
    Installation(folder).keep("key", "value")
    assert folder.stat().st_mode & 0o077 == 0
    assert [path.stat().st_mode & 0o077 for path in folder.iterdir()] == [0]


def test_nothing_is_kept_under_a_name_until_it_is(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "installation")
    assert installation.kept("greeted") == ""
    installation.keep("greeted", "yes")
    assert installation.kept("greeted") == "yes"
