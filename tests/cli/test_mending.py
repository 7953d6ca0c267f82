"""`pincite doctor` names what a half-written data folder lacks, and `--repair` mends it: the same answers after."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import lancedb
import pytest

import pincite.assembly
from pincite.cli import run
from tests.cli.conftest import LEAVE, PUMP, Pincite
from tests.cli.fake_model import fake_model
from tests.cli.server_process import serve

QUESTIONS = (LEAVE, PUMP, "valve", "How often?")
DOCUMENTS = {
    "leave.md": f"# Leave\n\n{LEAVE}\n",
    "pump.md": f"# Pump\n\n{PUMP}\n",
    "valve.md": "# Valve\n\nOf steel.\n",
}

Damaging = Callable[[Path], None]


class Sound(NamedTuple):
    """A data folder in which all is well, and the folder its documents came from."""

    data: Path
    documents: Path


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    folder = tmp_path_factory.mktemp("sound")
    made = Sound(folder / "data", folder / "documents")
    made.documents.mkdir()
    for name, text in DOCUMENTS.items():
        (made.documents / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PINCITE_DATA", str(made.data))
        patch.setenv("PINCITE_PARSER_WORKERS", "1")
        patch.setattr(pincite.assembly, "_embedded_model", fake_model)
        assert run(["add", "manuals", str(made.documents)]) == 0
    return made


@pytest.fixture
def data(sound: Sound, data: Path) -> Path:
    """A copy: of a folder that this process has opened before, it would remember what was deleted."""
    shutil.copytree(sound.data, data)
    return data


def answers(pincite_command: Pincite, knowledge_base: str = "manuals") -> list[dict[str, Any]]:
    """Return the citations of some questions without their links, which name the time."""
    found = [pincite_command("search", knowledge_base, question, "--json") for question in QUESTIONS]
    passages = [passage for ran in found for passage in ran.lines[0]["passages"]]
    return [{name: value for name, value in passage.items() if name != "url"} for passage in passages]


@pytest.fixture
def expected(sound: Sound, pincite_command: Pincite) -> list[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PINCITE_DATA", str(sound.data))
        found = answers(pincite_command)
    assert {passage["document"]["path"] for passage in found} == DOCUMENTS.keys()
    return found


def table(data: Path) -> Path:
    [found] = (data / "index").glob("kb_*.lance")
    return found


def cut(paths: list[Path]) -> None:
    assert paths
    for path in paths:
        path.write_bytes(path.read_bytes()[:20])


def delete(paths: list[Path]) -> None:
    assert paths
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def execute(data: Path, statement: str) -> None:
    with closing(sqlite3.connect(data / "catalog.sqlite")) as connection, connection:
        assert connection.execute(statement).rowcount > 0


def identifier(data: Path, path: str) -> str:
    with closing(sqlite3.connect(data / "catalog.sqlite")) as connection:
        [(found,)] = connection.execute("SELECT id FROM documents WHERE path = ?", (path,))
    return str(found)


def delete_passages(data: Path) -> None:
    async def work() -> None:
        connection = await lancedb.connect_async(str(data / "index"))
        with connection, await connection.open_table(table(data).stem) as opened:
            await opened.delete(f"document_id = '{identifier(data, 'pump.md')}'")

    asyncio.run(work())


def newest_manifest(data: Path) -> list[Path]:
    return [min((table(data) / "_versions").glob("*.manifest"))]  # their numbers count down


DAMAGE: dict[str, tuple[Damaging, str]] = {
    "no table": (lambda data: delete([table(data)]), "the index is missing"),
    "no versions": (lambda data: delete([table(data) / "_versions"]), "the index cannot be read"),
    "half a version": (lambda data: cut(newest_manifest(data)), "the index cannot be read"),
    "no rows": (lambda data: delete([*(table(data) / "data").iterdir()]), "the index cannot be read"),
    "half of the rows": (lambda data: cut([*(table(data) / "data").iterdir()]), "the index cannot be read"),
    "no indexes": (lambda data: delete([*(table(data) / "_indices").iterdir()]), "the index of words is missing"),
    "half of the indexes": (lambda data: cut([*(table(data) / "_indices").glob("*/*")]), "the index of names is"),
    "no passages": (delete_passages, "0 of 1 passages are in the index"),
    "no place for characters": (
        lambda data: execute(data, "UPDATE documents SET characters_in_passages = 3 WHERE path = 'pump.md'"),
        "characters are in passages",
    ),
    "no vector for tokens": (
        lambda data: execute(data, "UPDATE documents SET tokens_embedded = 3 WHERE path = 'pump.md'"),
        "tokens were embedded",
    ),
    "no originals": (lambda data: delete([*(data / "originals").glob("*/*")]), "its original is missing"),
    "half of the originals": (lambda data: cut([*(data / "originals").glob("*/*")]), "its original is missing"),
    "no parses": (lambda data: delete([*(data / "parsed").glob("*/*")]), "its stored text and pages are missing"),
    "half of the parses": (lambda data: cut([*(data / "parsed").glob("*/*")]), "its stored text and pages are missing"),
    "nothing but the catalog": (
        lambda data: delete([table(data), data / "parsed", data / "originals"]),
        "the index is missing",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_missing_is_named_and_mended(
    data: Path, pincite_command: Pincite, expected: list[dict[str, Any]], what: str
) -> None:
    damage, words = DAMAGE[what]
    damage(data)
    told = pincite_command("doctor")
    assert told.code == 1
    assert words in told.out
    assert "doctor --repair" in told.out
    mended = pincite_command("doctor", "--repair")
    assert (mended.code, words in mended.out) == (0, False), mended.out + mended.err
    assert answers(pincite_command) == expected
    assert pincite_command("doctor", "manuals").code == 0
    assert pincite_command("add", "manuals", "--json", *_documents(data)).code == 0


def _documents(data: Path) -> list[Path]:
    with closing(sqlite3.connect(data / "catalog.sqlite")) as connection:
        return [Path(location) for (location,) in connection.execute("SELECT location FROM documents")]


def test_a_server_mends_while_it_serves(data: Path, pincite_command: Pincite, expected: list[dict[str, Any]]) -> None:
    delete([*(table(data) / "data").iterdir()])
    delete([*(data / "parsed").glob("*/*")])
    with serve(data):
        assert pincite_command("doctor").code == 1
        assert pincite_command("search", "manuals", LEAVE).code == 1
        mended = pincite_command("doctor", "manuals", "--repair", "--json")
        assert (mended.code, mended.err.count("indexed anew")) == (0, 3)
        assert answers(pincite_command) == expected
        assert pincite_command("doctor", "nothing", "--repair").code == 1


def test_passages_without_a_document_are_removed(
    data: Path, pincite_command: Pincite, expected: list[dict[str, Any]], sound: Sound
) -> None:
    execute(data, "DELETE FROM documents WHERE path = 'pump.md'")
    told = pincite_command("doctor")
    assert told.code == 1
    assert "passages of 1 documents that are not in the catalog" in told.out
    assert {passage["document"]["path"] for passage in answers(pincite_command)} == DOCUMENTS.keys()
    mended = pincite_command("doctor", "--repair")
    assert mended.code == 0
    assert "- pump.md" in mended.err
    assert {passage["document"]["path"] for passage in answers(pincite_command)} == {"leave.md", "valve.md"}
    pincite_command("add", "manuals", sound.documents)
    assert answers(pincite_command) == expected


def test_a_document_left_half_indexed_is_indexed_anew(
    data: Path, pincite_command: Pincite, expected: list[dict[str, Any]]
) -> None:
    delete_passages(data)
    execute(data, "UPDATE documents SET recipe = '' WHERE path = 'pump.md'")
    assert pincite_command("doctor", "--repair").code == 0
    assert answers(pincite_command) == expected


def test_what_cannot_be_found_again_is_named_and_what_is_left_of_it_stays(
    data: Path, pincite_command: Pincite, expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    # Where the documents came from is another machine's: there is nothing at the path, or another file.
    (tmp_path / "other.md").write_text("another file")
    execute(data, f"UPDATE documents SET location = '{tmp_path}/other.md' WHERE path = 'pump.md'")
    execute(data, "UPDATE documents SET location = 'upload/leave.md' WHERE path = 'leave.md'")
    delete([*(data / "originals").glob("*/*")])
    mended = pincite_command("doctor", "--repair")
    assert mended.code == 1
    assert mended.out.count("its original is missing") == 2
    assert "x pump.md: The original file is missing" in mended.err
    assert answers(pincite_command) == expected
    delete([*(data / "parsed").glob("*/*")])
    assert pincite_command("doctor", "--repair").code == 1
    assert answers(pincite_command) == expected


def test_what_belongs_to_nothing_is_named_and_removed(
    data: Path, pincite_command: Pincite, expected: list[dict[str, Any]]
) -> None:
    serving = table(data)
    generation = serving.with_name(serving.name.replace("_1.lance", "_2.lance"))
    unknown = data / "index" / f"kb_{'0' * 20}_1.lance"
    left = [
        data / "originals" / "ab" / "abc.123.new",
        data / "parsed" / "ab" / "abc.arrow",
        data / "incoming" / "upload",
        data / "snapshot-1" / "catalog.sqlite",
        data / "restoring" / "catalog.sqlite",
    ]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(1000))
    for copied in (generation, unknown):
        shutil.copytree(serving, copied)
    told = pincite_command("doctor")
    assert told.code == 0
    assert "5 files" in told.out
    assert "2 tables" in told.out
    assert pincite_command("doctor", "--repair").code == 0
    assert not any(path.exists() for path in (*left, generation, unknown))
    assert "belong to nothing" not in pincite_command("doctor").out
    assert answers(pincite_command) == expected


def test_a_damaged_catalog_is_named_with_what_to_do(data: Path, pincite_command: Pincite) -> None:
    catalog = data / "catalog.sqlite"
    catalog.write_bytes(catalog.read_bytes()[:1000] + bytes(200_000))
    for arguments in (["doctor"], ["doctor", "--repair"], ["list"]):
        told = pincite_command(*arguments)
        assert told.code == 1
        assert "restore the data folder from a backup" in told.err + told.out


def test_a_folder_whose_catalog_is_gone_is_not_taken_for_a_new_one(data: Path, pincite_command: Pincite) -> None:
    delete([data / "catalog.sqlite"])
    kept = sorted((data / "originals").glob("*/*"))
    for arguments in (["doctor", "--repair"], ["list"], ["add", "manuals", data]):
        told = pincite_command(*arguments)
        assert (told.code, "The catalog is missing" in told.err) == (1, True)
    assert sorted((data / "originals").glob("*/*")) == kept
    assert table(data).exists()
