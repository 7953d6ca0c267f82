"""What goes in adds up with what comes out, of every document; and what is lost is said."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedding_backend import PassageText
from pincite.accounts import account_of
from pincite.chunking import Chunk, chunk
from pincite.document import Document
from pincite.index.account import Account, account, covered, visible
from pincite.settings import load_settings
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder
from tests.owner import OWNER, finish
from tests.test_chunking import documents

pytestmark = pytest.mark.anyio


def texts_of(document: Document, chunks: list[Chunk]) -> list[PassageText]:
    return [PassageText(c.context + document.text[c.start : c.end], ((len(c.context), c.end),)) for c in chunks]


def counted_in(document: Document, chunks: list[Chunk], embedder: FakeEmbedder) -> Account:
    return account(document, chunks, texts_of(document, chunks), embedder.model, embedder.count_tokens)


@settings(deadline=None)
@given(documents(), st.sampled_from([40, 64, 256]), st.sampled_from([0, 16]))
def test_every_character_is_in_a_passage_and_every_token_embedded(
    document: Document, max_tokens: int, window_tokens: int
) -> None:
    embedder = FakeEmbedder(max_tokens=max_tokens)
    chunks = chunk(document, max_tokens=max_tokens, count_tokens=embedder.count_tokens, window_tokens=window_tokens)
    counted = counted_in(document, chunks, embedder)
    assert counted.characters == len("".join(document.text.split()))
    assert counted.characters_in_passages == counted.characters
    assert counted.tokens == sum(embedder.count_tokens([passage.text for passage in texts_of(document, chunks)]))
    assert counted.tokens_embedded == counted.tokens


@settings(deadline=None)
@given(documents(), st.data())
def test_a_lost_passage_and_a_lost_window_are_missing_in_the_account(document: Document, data: st.DataObject) -> None:
    embedder = FakeEmbedder()
    chunks = chunk(document, max_tokens=64, count_tokens=embedder.count_tokens, window_tokens=16)
    if not chunks:
        return
    lost = data.draw(st.integers(0, len(chunks) - 1))
    left = chunks[:lost] + chunks[lost + 1 :]
    counted = counted_in(document, left, embedder)
    size = visible(document.text[chunks[lost].start : chunks[lost].end])
    assert counted.characters - counted.characters_in_passages == size > 0
    cut = [replace(each, windows=each.windows[:-1]) if at == lost else each for at, each in enumerate(chunks)]
    assert counted_in(document, cut, embedder).tokens_embedded < counted.tokens + sum(
        embedder.count_tokens([texts_of(document, chunks)[lost].text])
    )


def test_what_the_model_cuts_off_is_missing_in_the_account() -> None:
    document = Document(text="one two three four five six", title="", media_type="text/plain", sections=(), pages=())
    wide = FakeEmbedder()
    chunks = chunk(document, max_tokens=64, count_tokens=wide.count_tokens)
    narrow = FakeEmbedder(max_tokens=4)
    counted = counted_in(document, chunks, narrow)
    assert (counted.tokens, counted.tokens_embedded) == (6, 4)


@settings(deadline=None)
@given(st.text(), st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50))))
def test_characters_are_counted_once_however_ranges_overlap(text: str, ranges: list[tuple[int, int]]) -> None:
    whole = {i for start, end in ranges for i in range(start, min(end, len(text))) if not text[i].isspace()}
    assert covered(text, ranges) == len(whole)


@pytest.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    chosen = load_settings(data=tmp_path / "data", parser_workers=1)
    async with Workspace(chosen, embedder=FakeEmbedder()) as opened:
        yield opened


async def test_the_account_of_a_knowledge_base_adds_up_and_says_what_is_missing(
    workspace: Workspace, tmp_path: Path
) -> None:
    import pymupdf

    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "leave.md").write_text("# Leave\n\nThirty days of leave.\n")
    (folder / "empty.txt").write_text("")
    scanned = pymupdf.open()
    scanned.new_page().insert_text((72, 72), "The first page has words.")
    scanned.new_page().draw_rect(pymupdf.Rect(72, 72, 300, 300), fill=(0.5, 0.5, 0.5))
    scanned.save(folder / "scan.pdf")
    scanned.close()
    job = await workspace.add(OWNER, "manuals", [str(folder)], create=True)
    assert (await finish(workspace, job)).state == "done"
    accounts, sums = await workspace.accounts(OWNER, "manuals")
    assert (sums.adds_up, sums.documents, sums.failed) == (True, 3, 1)
    assert (sums.pages, sums.pages_with_text, sums.pages_without_text, sums.pages_failed) == (2, 1, 1, 0)
    text = "#Leave" + "Thirtydaysofleave." + "Thefirstpagehaswords."
    assert sums.characters == sums.characters_in_passages == len(text)
    assert sums.tokens == sums.tokens_embedded > 0
    assert sums.passages == sums.passages_in_index == 2

    lost = next(account for account in accounts if account.path == "leave.md")
    kb = await workspace.knowledge_base(OWNER, "manuals")
    async with workspace._opened.generations.use(kb) as index:
        await index.remove_document(lost.document_id)
    _, sums = await workspace.accounts(OWNER, "manuals")
    assert not sums.adds_up
    assert [differing.path for differing in sums.differing] == ["leave.md"]
    assert sums.differing[0].differences == ("0 of 1 passages are in the index; `pincite doctor --repair` mends it",)
    record = await workspace.document(OWNER, lost.document_id)
    assert account_of(replace(record, characters_in_passages=3), None).differences[0].startswith("3 of ")


async def test_passages_of_nothing_are_strays(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A pump of bronze.")
    job = await workspace.add(OWNER, "manuals", [str(tmp_path / "a.txt")], create=True)
    ended = await finish(workspace, job)
    workspace._opened.catalog.delete_document(ended.results[0]["document_id"])
    _, sums = await workspace.accounts(OWNER, "manuals")
    assert (sums.adds_up, sums.strays, sums.documents) == (False, 1, 0)
