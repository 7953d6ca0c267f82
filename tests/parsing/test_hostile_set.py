"""The broken and hostile files that others collected: each is read or refused as expected, within bounds."""

import asyncio
import json
import tarfile
from pathlib import Path

import pytest

from pincite.errors import DocumentError, InvalidSource
from pincite.parsing.worker import ParseLimits, ParserPool
from pincite.sources import expand

ARCHIVE = Path(__file__).parents[3] / "shared" / "data" / "bad.tar.xz"

pytestmark = [
    pytest.mark.material,
    pytest.mark.skipif(not ARCHIVE.exists(), reason="../shared/data/bad.tar.xz is absent"),
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "bad" / "dev"


def test_every_hostile_file_ends_as_expected(hostile: Path) -> None:
    entries = [json.loads(line) for line in (hostile / "manifest.jsonl").read_text("utf-8").splitlines()]
    files = [e for e in entries if e.get("kind") != "list" and (hostile / e["file"]).is_file()]
    assert len(files) >= 55
    outcomes = asyncio.run(_outcomes(hostile, [e["file"] for e in files]))
    wrong = {
        e["file"]: o for e, o in zip(files, outcomes, strict=True) if o not in {e["expected"], *e.get("also_ok", ())}
    }
    assert not wrong


async def _outcomes(folder: Path, names: list[str]) -> list[str]:
    pool = ParserPool(2, ParseLimits(cpu_s=40, timeout_s=120))

    async def outcome(name: str) -> str:
        try:
            document = await pool.parse(folder / name, name)
        except DocumentError as error:
            return "clear error" if str(folder) not in error.message else f"a path of the server in {error.message!r}"
        return "ingested partially with warning" if document.warnings else "ingested"

    try:
        return await asyncio.gather(*(outcome(name) for name in names))
    finally:
        await pool.close()


def test_links_that_leave_a_folder_are_not_followed(hostile: Path, tmp_path: Path) -> None:
    with tarfile.open(hostile / "folder_symlinks.tar") as archive:
        archive.extractall(tmp_path, filter="fully_trusted")
    found = list(expand(str(tmp_path / "folder_symlinks")))
    assert [f.path for f in found if not f.error] == ["ok.md", "sub/deep/ok2.txt"]
    assert {f.path for f in found if f.error} == {"dangling.md", "loop", "passwd.txt", "sub/deep/up"}


def test_hostile_urls_are_refused(hostile: Path) -> None:
    for line in (hostile / "git_urls.jsonl").read_text("utf-8").splitlines():
        with pytest.raises(InvalidSource) as caught:
            list(expand(json.loads(line)["url"]))
        assert "secret" not in caught.value.message
