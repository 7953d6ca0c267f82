"""Sources are read, never followed out of, never run."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pincite import git_source
from pincite.errors import DocumentTooLarge, InvalidSource
from pincite.git_source import Repository, check_url
from pincite.sources import SourceFile, expand


def paths(source: Path | str, **options: object) -> list[str]:
    return [f.path for f in expand(str(source), **options) if f.error is None]  # type: ignore[arg-type]


def errors(source: Path | str) -> dict[str, str]:
    return {f.path: f.error.message for f in expand(str(source)) if f.error is not None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    for name in ("b.md", "a.txt", "sub/deep/c.md", "sub.md", ".hidden/x.md", ".DS_Store", "合同 (1).md"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return root


def test_a_file_is_a_source_of_its_own(folder: Path) -> None:
    (file,) = expand(str(folder / "a.txt"))
    assert (file.path, file.size, file.read()) == ("a.txt", 5, b"a.txt")


def test_a_folder_is_read_in_order_without_hidden_files(folder: Path) -> None:
    found = list(expand(str(folder)))
    assert [f.path for f in found] == ["a.txt", "b.md", "sub.md", "合同 (1).md", "sub/deep/c.md"]
    assert all(f.read().decode() == f.path for f in found)
    assert {f.source for f in found} == {str(folder)}


def test_patterns_choose_by_path_or_name(folder: Path) -> None:
    assert paths(folder, include=["*.md"], exclude=["sub/*"]) == ["b.md", "sub.md", "合同 (1).md"]
    assert paths(folder, include=["a.*"]) == ["a.txt"]


def test_links_and_special_files_are_reported_and_not_followed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "secret.txt"
    outside.write_text("secret", encoding="utf-8")
    (folder / "inside.md").symlink_to("b.md")
    (folder / "out.txt").symlink_to(outside)
    (folder / "nowhere.txt").symlink_to("missing")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
        said = errors(folder)
    assert said == {
        "loop": "loop: a link to a folder; it was not followed",
        "nowhere.txt": "nowhere.txt: the link leads nowhere; it was not followed",
        "out.txt": "out.txt: the link leads out of the folder; it was not followed",
        "pipe.txt": "pipe.txt: not a regular file; it was not opened",
        "socket": "socket: not a regular file; it was not opened",
    }
    assert "inside.md" in paths(folder)


def test_a_file_exchanged_for_a_link_after_listing_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (file,) = expand(str(folder), include=["a.txt"])
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to(tmp_path / "docs" / "b.md")
    with pytest.raises(InvalidSource, match=r"a\.txt: the file cannot be read"):
        file.read()


AS_NOBODY = """
import os, sys
from pincite.errors import InvalidSource
from pincite.sources import expand
if os.geteuid() == 0:  # whom no mode keeps out
    os.seteuid(65534)
for source in sys.argv[1:]:
    try:
        for file in expand(source):
            try:
                file.read()
            except InvalidSource as error:
                print(error.message)
    except InvalidSource as error:
        print("all of it:", error.message)
"""


def test_what_the_account_may_not_read_is_named_with_whom_to_let() -> None:
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        root.chmod(0o755)
        for path in (root / "mixed" / "open.md", root / "mixed" / "own.md", root / "mixed" / "sub" / "x.md"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x", "utf-8")
        (root / "closed").mkdir()
        (root / "unlisted").mkdir()
        for path in (root / "mixed" / "own.md", root / "mixed" / "sub", root / "closed"):
            path.chmod(0)
        (root / "unlisted").chmod(0o111)
        program = [sys.executable, "-c", AS_NOBODY, *(str(root / name) for name in ("mixed", "closed", "unlisted"))]
        said = subprocess.run(program, capture_output=True, text=True, check=True).stdout.splitlines()
    let = f"let user {os.geteuid() or 65534}, as whom Pincite runs, read it (chmod -R a+rX)"
    assert said == [
        f"own.md: the file cannot be read; {let}",
        f"sub/: the folder cannot be read; {let}",
        f"all of it: closed: the folder cannot be read; {let}",
        f"all of it: unlisted: the folder cannot be read; {let}",
    ]


def test_a_file_over_the_limit_is_skipped_even_if_it_grew(folder: Path) -> None:
    (file,) = expand(str(folder), include=["a.txt"], max_bytes=5)
    (folder / "a.txt").write_text("grown longer", encoding="utf-8")
    with pytest.raises(DocumentTooLarge):
        file.read()
    (skipped,) = expand(str(folder), include=["a.txt"], max_bytes=5)
    assert isinstance(skipped.error, DocumentTooLarge)
    with pytest.raises(DocumentTooLarge, match="12 bytes are over the limit of 5"):
        skipped.read()


def test_names_that_are_no_utf8_are_text_all_the_same(folder: Path) -> None:
    name = os.fsencode(folder) + b"/\xff.txt"
    Path(os.fsdecode(name)).write_bytes(b"x")
    assert "\ufffd.txt" in paths(folder)


@pytest.mark.parametrize("source", ["", "missing.txt", "a\x00b", "--upload-pack=touch x", "/dev/null"])
def test_what_is_no_source_is_refused(source: str) -> None:
    with pytest.raises(InvalidSource):
        expand(source)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ext::sh -c touch% x", "not a git URL"),
        ("file:///work", "file:// is not allowed"),
        ("git://example.org/x.git", "git:// is not allowed"),
        ("http://example.org/x.git", "http:// is not allowed"),
        ("gopher://127.0.0.1:9/_x", "not allowed"),
        ("git@-oProxyCommand=id:x/y.git", "not a git URL"),
        ("git@host:../../x.git", "not a git URL"),
        ("https://user:secret@example.org/x.git", "leave it out of the URL"),
        ("https://token@example.org/x.git", "leave it out of the URL"),
        ("ssh://-oProxyCommand=id@example.org/x.git", "not a git URL"),
        ("https://-oProxyCommand=id/x.git", "names no host"),
        ("https://example.org/../../x.git", "not a git URL"),
        ("https://example.org/a b", "not a git URL"),
        ("https://127.0.0.1/x.git", "not a public one"),
        ("https://[::1]:9/x.git", "not a public one"),
        ("https://[::ffff:127.0.0.1]/x.git", "not a public one"),
        ("https://2130706433:9/x", "not a public one"),
        ("https://localhost/x.git", "not a public one"),
        ("https://169.254.169.254/latest", "not a public one"),
        ("https://10.0.0.1/x.git", "not a public one"),
        ("git@192.168.1.1:x/y.git", "not a public one"),
        ("https://example.org:port/x", "port is not a number"),
    ],
)
def test_hostile_urls_are_refused_before_git_runs(url: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_source, "_clone_into", lambda *_: pytest.fail("git was called"))
    with pytest.raises(InvalidSource, match=reason) as caught:
        list(expand(url))
    assert "secret" not in caught.value.message


def test_private_hosts_can_be_allowed_but_this_machine_never() -> None:
    assert check_url("https://10.1.2.3/x.git", private_hosts=True) == (
        "https://10.1.2.3/x.git",
        "10.1.2.3:443:10.1.2.3",
    )
    assert check_url("git@192.168.1.1:x/y.git", private_hosts=True)[0] == "git@192.168.1.1:x/y.git"
    with pytest.raises(InvalidSource, match="not a public one"):
        check_url("https://127.0.0.1/x.git", private_hosts=True)


@pytest.fixture
def bare(tmp_path: Path, folder: Path) -> Path:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, env=environment)

    (folder / "link.md").symlink_to("/etc/passwd")
    (folder / "large.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    git("init")
    git("add", "--all")
    git("commit", "-m", "all")
    git("clone", "--bare", ".", str(tmp_path / "bare.git"))
    return tmp_path / "bare.git"


def check_repository(found: list[SourceFile]) -> None:
    readable = [f for f in found if f.error is None]
    assert [f.path for f in readable] == ["a.txt", "b.md", "large.bin", "sub.md", "sub/deep/c.md", "合同 (1).md"]
    assert [f.read().decode() for f in readable if f.path != "large.bin"] == [
        f.path for f in readable if f.path != "large.bin"
    ]
    assert {f.path for f in found if f.error} == {"link.md"}
    with pytest.raises(InvalidSource, match="Git LFS"):
        next(f for f in found if f.path == "large.bin").read()


def test_a_bare_repository_is_read_at_its_head(bare: Path) -> None:
    check_repository(list(expand(str(bare))))


def test_a_clone_is_bare_shallow_and_without_hooks(bare: Path, tmp_path: Path) -> None:
    hook = bare / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch pwned\n", encoding="utf-8")
    hook.chmod(0o755)
    target = tmp_path / "clone"
    git_source._clone_into(target, f"file://{bare}", ("file",), None)
    assert not (target / "hooks").exists()
    assert not (target / "index").exists()
    check_repository(list(Repository(target, "test").files(10_000)))


def test_a_clone_that_fails_says_why_without_paths(tmp_path: Path) -> None:
    with pytest.raises(InvalidSource, match="there is no such repository") as caught:
        git_source._clone_into(tmp_path / "clone", f"file://{tmp_path}/missing", ("file",), None)
    assert str(tmp_path) not in caught.value.message
    with pytest.raises(InvalidSource, match="could not be cloned"):
        git_source._clone_into(tmp_path / "clone", f"file://{tmp_path}/missing", ("https",), None)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("No ED25519 host key is known for h.\nHost key verification failed.", "put it into known_hosts in ~/.ssh"),
        ("REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.", "another SSH key than before"),
        ("git@h: Permission denied (publickey).", "access was denied"),
        ('Load key "id": Permission denied\ngit@h: Permission denied (publickey).', "cannot be used"),
        ("ssh: connect to host h port 22: Connection refused", "does not answer"),
        ("ssh: connect to host h port 22: Connection timed out", "does not answer"),
        ("ssh: Could not resolve hostname h: Name or service not known", "its host is unknown"),
        ("ERROR: Repository not found.", "there is no such repository"),
    ],
)
def test_what_ssh_says_is_told_with_what_to_do(
    said: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ssh"
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{said}\nEND\nexit 255\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(InvalidSource, match=told):
        git_source._clone_into(tmp_path / "clone", "git@h:x.git", ("ssh",), None)


def test_a_server_without_ssh_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = shutil.which("git")
    assert git is not None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(InvalidSource, match="ssh is not installed on this server"):
        git_source._clone_into(tmp_path / "clone", "git@h:x.git", ("ssh",), None)


def test_a_repository_without_commits_is_refused(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--bare", "--quiet", str(tmp_path / "empty.git")], check=True, capture_output=True)
    with pytest.raises(InvalidSource, match="no commit"):
        list(expand(str(tmp_path / "empty.git")))
