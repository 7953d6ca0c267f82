"""From question to cited passages, on a real LanceDB index; the model is a fake where it is not the subject."""

import unicodedata
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedding_backend import PassageText, Vectors
from pincite.chunking import Chunk, chunk
from pincite.document import Box, Document, Page, Section, Words
from pincite.errors import BackendError, EmptyQuestion, IndexMismatch, InvalidResultCount, QuestionTooLong
from pincite.index import CitedPassage, Hit, Index, RowsMoved, View
from pincite.lexical import Sample, lexical_form, question_terms
from pincite.passage import DocumentReference, SearchFilter
from pincite.search import search
from tests.fakes import FakeEmbedder

pytestmark = pytest.mark.anyio

LIABILITY = (
    "The supplier's total liability under this agreement shall not exceed the fees paid in the last twelve months."
)
PAYMENT = "Invoices are payable within thirty days of receipt, without deduction."
PARKING = "Visitors park on the second level of the garage and show their badge at the gate."
NOTICE = "任何一方可以提前三十日书面通知对方终止本合同。"


@pytest.fixture
def embedder() -> FakeEmbedder:
    return FakeEmbedder()


@pytest.fixture
async def index(tmp_path: Path, embedder: FakeEmbedder) -> AsyncIterator[Index]:
    opened = await Index.open(str(tmp_path / "index"), "kb_1", embedder.model)
    yield opened
    await opened.close()


async def add(index: Index, embedder: FakeEmbedder, name: str, document: Document, max_tokens: int = 60) -> list[Chunk]:
    chunks = chunk(document, max_tokens=max_tokens, count_tokens=embedder.count_tokens, window_tokens=12)
    await index.replace_document(DocumentReference(name, document.title, f"folder/{name}"), document, chunks, embedder)
    return chunks


def plain(text: str, title: str = "Notes") -> Document:
    return Document(title, "text/plain", text)


def paged(*texts: str) -> Document:
    pages, position = [], 0
    for number, text in enumerate(texts, start=1):
        words = Words(
            np.array([position], np.int32),
            np.array([position + len(text)], np.int32),
            np.array([[72, 72, 500, 84]], np.float32),
            np.zeros(1, np.int32),
        )
        pages.append(Page(number, f"p-{number}", position, position + len(text), 595, 842, words))
        position += len(text) + 2
    return Document("Handbook", "application/pdf", "\n\n".join(texts), tuple(pages))


async def test_the_passage_that_answers_comes_first_and_is_verbatim(index: Index, embedder: FakeEmbedder) -> None:
    documents = {"contract": plain(f"{LIABILITY}\n\n{PAYMENT}"), "house": plain(PARKING), "zh": plain(NOTICE)}
    for name, document in documents.items():
        await add(index, embedder, name, document)
    for question, name in [
        ("Where is the liability of the supplier limited?", "contract"),
        ("Where do visitors park?", "house"),
        ("提前三十日书面通知对方？", "zh"),
    ]:
        result = await search(index, embedder, question, k=3)
        best = result.passages[0]
        assert best.document.id == name
        assert documents[name].text[best.start : best.end] == best.text
        assert best.document.path == f"folder/{name}"
        assert 0 <= best.score <= 1
        assert [p.score for p in result.passages] == sorted((p.score for p in result.passages), reverse=True)


async def test_the_page_is_the_one_the_evidence_stands_on(index: Index, embedder: FakeEmbedder) -> None:
    await add(index, embedder, "handbook", paged(PARKING, LIABILITY, PAYMENT), max_tokens=500)
    (passage,) = (await search(index, embedder, "When are invoices payable?", k=1)).passages
    assert passage.pages == (1, 2, 3)
    assert (passage.page, passage.page_label) == (3, "p-3")
    assert {box.page for box in passage.boxes} == {1, 2, 3}


async def test_the_question_s_words_and_the_best_sentence_are_marked(index: Index, embedder: FakeEmbedder) -> None:
    await add(index, embedder, "contract", plain(f"{PARKING} {PAYMENT} {LIABILITY}"), max_tokens=500)
    (passage,) = (await search(index, embedder, "Which liability shall not exceed the fees?", k=1)).passages
    marked = {passage.text[mark.start : mark.end] for mark in passage.marks if mark.kind == "term"}
    assert {"liability", "fees"} <= marked
    (sentence,) = [passage.text[mark.start : mark.end] for mark in passage.marks if mark.kind == "sentence"]
    assert sentence == LIABILITY


async def test_chinese_words_are_marked_as_runs(index: Index, embedder: FakeEmbedder) -> None:
    await add(index, embedder, "zh", plain(NOTICE))
    (passage,) = (await search(index, embedder, "书面通知对方", k=1)).passages
    assert "书面通知对方" in {passage.text[mark.start : mark.end] for mark in passage.marks}


async def test_decomposed_and_full_width_letters_are_found(index: Index, embedder: FakeEmbedder) -> None:
    await add(index, embedder, "nfd", plain(unicodedata.normalize("NFD", "Der Geschäftsführer unterschreibt.")))
    await add(index, embedder, "wide", plain("ＡＰＩ密钥的有效期为九十天。"))
    for question, name in [("Geschäftsführer", "nfd"), ("API密钥的有效期是多少天？", "wide")]:
        assert (await search(index, embedder, question, k=1)).passages[0].document.id == name


async def test_neighbours_are_joined_verbatim(index: Index, embedder: FakeEmbedder) -> None:
    text = "\n\n".join(f"Clause {i}. {LIABILITY} It holds for the year {2000 + i}." for i in range(6))
    document = plain(text)
    chunks = await add(index, embedder, "contract", document, max_tokens=50)
    assert len(chunks) > 3
    result = await search(index, embedder, "supplier's total liability, fees paid in twelve months", k=2)
    assert any(p.end - p.start > max(c.end - c.start for c in chunks) for p in result.passages)
    for passage in result.passages:
        assert document.text[passage.start : passage.end] == passage.text


async def test_a_filter_keeps_other_documents_out(index: Index, embedder: FakeEmbedder) -> None:
    for name in ("one", "it's"):
        await add(index, embedder, name, plain(LIABILITY))
    found = await search(index, embedder, "liability", k=5, where=SearchFilter(document_ids=("it's",)))
    assert [p.document.id for p in found.passages] == ["it's"]
    found = await search(index, embedder, "liability", k=5, where=SearchFilter(path_prefix="folder/on"))
    assert [p.document.id for p in found.passages] == ["one"]
    nothing = await search(index, embedder, "liability", k=5, where=SearchFilter(media_types=("application/pdf",)))
    assert nothing.why is not None
    assert nothing.why.reason == "filtered_out"


async def test_nothing_found_says_why(index: Index, embedder: FakeEmbedder) -> None:
    empty = await search(index, embedder, "liability?")
    assert empty.why is not None
    assert empty.why.reason == "empty_knowledge_base"
    await add(index, embedder, "house", plain(PARKING))
    off_topic = await search(index, embedder, "量子引力的重整化")
    assert off_topic.passages == ()
    assert off_topic.why is not None
    assert off_topic.why.reason == "below_floor"
    assert off_topic.why.best_score is not None


@pytest.mark.parametrize(
    ("question", "k", "error"),
    [
        ("", 5, EmptyQuestion),
        (" \n ", 5, EmptyQuestion),
        ("x" * 100_000, 5, QuestionTooLong),
        ("fine", 0, InvalidResultCount),
        ("fine", 101, InvalidResultCount),
    ],
)
async def test_a_wrong_question_is_refused(
    index: Index, embedder: FakeEmbedder, question: str, k: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await search(index, embedder, question, k=k)


@pytest.mark.parametrize(
    "question", ["?", "'", '" OR 1=1 --', "the of and", "的", "\x00", "😀", "a" * 8000, "(*+-^~:\\"]
)
async def test_odd_questions_do_no_harm(index: Index, embedder: FakeEmbedder, question: str) -> None:
    await add(index, embedder, "house", plain(PARKING))
    await search(index, embedder, question)


async def test_a_replaced_document_leaves_nothing_of_the_old_one(index: Index, embedder: FakeEmbedder) -> None:
    await add(index, embedder, "doc", plain("\n\n".join([PARKING] * 9)))
    await add(index, embedder, "other", plain(PAYMENT))
    before = await index.count()
    await add(index, embedder, "doc", plain(LIABILITY))
    assert await index.count() == 2 < before
    assert PARKING not in {p.text for p in (await search(index, embedder, "visitors park garage")).passages}
    await add(index, embedder, "doc", plain(""))
    assert await index.count() == 1
    await index.remove_document("other")
    assert await index.count() == 0


async def test_an_index_refuses_another_model(index: Index, tmp_path: Path) -> None:
    with pytest.raises(IndexMismatch, match="cannot be searched with"):
        await Index.open(str(tmp_path / "index"), "kb_1", FakeEmbedder(scheme="other").model)
    again = await Index.open(str(tmp_path / "index"), "kb_1", FakeEmbedder().model)
    await again.close()


class Broken(FakeEmbedder):
    async def embed_passages(self, passages):  # type: ignore[no-untyped-def]
        return [np.full((len(passage.windows), self.model.dimensions), np.nan, np.float32) for passage in passages]


async def test_vectors_that_are_no_numbers_are_refused_and_the_old_version_stays(
    index: Index, embedder: FakeEmbedder
) -> None:
    await add(index, embedder, "doc", plain(LIABILITY))
    with pytest.raises(BackendError, match=r"folder/doc"):
        await add(index, Broken(), "doc", plain(PAYMENT))
    assert (await search(index, embedder, "liability")).passages[0].text == LIABILITY


async def test_a_large_index_is_searched_by_its_graph_and_finds_the_same(
    index: Index, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        await add(index, embedder, f"d{number}", plain(f"Machine {number} is serviced by team {number * 7}. {PARKING}"))
    await add(index, embedder, "contract", plain(LIABILITY))
    before = await search(index, embedder, "Where is the liability of the supplier limited?", k=3)
    monkeypatch.setattr("pincite.index.column_indexes._BRUTE_FORCE_ROWS", 20)
    await index.maintain()
    after = await search(index, embedder, "Where is the liability of the supplier limited?", k=3)
    assert after.passages[0] == before.passages[0]
    await add(index, embedder, "late", plain(NOTICE))
    late = await search(index, embedder, "书面通知对方终止合同", k=1)
    assert late.passages[0].document.id == "late"


async def test_a_fragment_of_a_document_counts_for_less_than_a_short_document(
    index: Index, embedder: FakeEmbedder
) -> None:
    heading = "Limits of the supplier's liability"
    beginning = " ".join(6 * [PARKING])
    sections = (Section(0, 1, ""), Section(len(beginning) + 1, 1, ""))
    await add(index, embedder, "a", Document("", "text/plain", f"{beginning}\n{heading}", sections=sections))
    await add(index, embedder, "b", plain(heading))
    found = (await search(index, embedder, heading, k=2)).passages
    assert [passage.document.id for passage in found] == ["b", "a"]


async def test_sections_are_cited(index: Index, embedder: FakeEmbedder) -> None:
    text = f"7 Liability\n{LIABILITY}"
    await add(
        index, embedder, "contract", Document("Contract", "text/plain", text, sections=(Section(0, 1, "7 Liability"),))
    )
    (passage,) = (await search(index, embedder, "liability fees", k=1)).passages
    assert passage.section == "7 Liability"


def test_a_passage_reads_the_same_as_it_was_written() -> None:
    boxes = tuple(
        Box(page, *np.random.default_rng(page).uniform(0, 900, 4).astype(np.float32).tolist()) for page in (1, 2)
    )
    cited = CitedPassage(
        DocumentReference("d", 'A "title"', "folder/d"), 3, 10, 20, "第一条 \u2028\x00", "1 › 2", "\n", (1, 2), (0, 15),
        ("i", None), boxes,
    )  # fmt: skip
    assert CitedPassage.from_json(cited.to_json()) == cited


async def test_words_beyond_the_memory_s_share_are_read_from_the_table(
    index: Index, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in [("contract", LIABILITY), ("house", PARKING), ("zh", NOTICE)]:
        await add(index, embedder, name, plain(text))
    question = "Where do visitors park?"
    kept = await search(index, embedder, question)
    monkeypatch.setattr("pincite.index.rows._MOST_KEPT_BYTES", 0)
    await add(index, embedder, "late", plain(PAYMENT))
    await index.remove_document("house")
    await add(index, embedder, "house", plain(PARKING))
    read = await search(index, embedder, question)
    assert read.passages[0] == kept.passages[0]


async def test_rows_that_move_or_leave_during_a_search_are_found_where_they_are(
    index: Index, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("contract", "other"):
        await add(index, embedder, name, plain(f"{LIABILITY}\n\n{PAYMENT}"))
    passages, changes = View.passages, iter([index.maintain(), index.remove_document("contract")])

    async def change_then_read(view: View, passage_ids: Sequence[str]) -> dict[str, CitedPassage]:
        if change := next(changes, None):
            await change
        return await passages(view, passage_ids)

    monkeypatch.setattr(View, "passages", change_then_read)
    found = await search(index, embedder, "liability of the supplier", k=5)
    assert {passage.document.id for passage in found.passages} == {"other"}


async def test_words_alone_find_a_passage(
    index: Index, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in [("contract", LIABILITY), ("house", PARKING)]:
        await add(index, embedder, name, plain(text))

    async def nothing_near(view: View, question: Vectors, limit: int, where: SearchFilter | None = None) -> list[Hit]:
        return []

    monkeypatch.setattr(View, "nearest", nothing_near)
    question = "Where do visitors park their badge?"
    found = await search(index, embedder, question)
    assert [passage.document.id for passage in found.passages] == ["house"]
    await index.maintain()  # which moves the rows
    assert (await search(index, embedder, question)).passages == found.passages


async def test_a_view_says_that_the_index_has_grown(index: Index, embedder: FakeEmbedder) -> None:
    await add(index, embedder, "house", plain(PARKING))
    (question,) = await embedder.embed_queries([PARKING])
    view = await index.view()
    await add(index, embedder, "contract", plain(LIABILITY))
    assert await view.windows_of(["house:0"], question)
    with pytest.raises(RowsMoved):
        await view.nearest(question, 10)
    grown = await index.view()
    assert {hit.window.passage_id for hit in await grown.nearest(question, 10)} == {"house:0", "contract:0"}
    assert await index.view() is grown


class GivenVectors(FakeEmbedder):
    """Answers with vectors made before, all of a passage's windows at once."""

    def __init__(self, vectors: Vectors) -> None:
        super().__init__(dimensions=vectors.shape[1])
        self._vectors = vectors

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        return [self._vectors]


async def test_a_large_index_finds_the_few_windows_that_are_unlike_all_others(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    common, rare = np.eye(100, dtype=np.float32)[:2]  # 100 is not a length the vector index takes
    index = await Index.open(str(tmp_path), "kb", GivenVectors(common[None]).model)
    similarities: list[float] = []
    question = common * 0.6 + rare * 0.8
    for name, centre, count in (("common", common, 4_100), ("rare", rare, 2)):
        vectors = (centre + 0.02 * random.normal(size=(count, 100))).astype(np.float32)
        whole = Chunk(0, count, "", "", (), (), tuple((i, i + 1) for i in range(count)))
        reference = DocumentReference(name, name, name)
        await index.replace_document(reference, plain("x" * count), [whole], GivenVectors(vectors))
        similarities += (vectors @ question).tolist()
    await index.maintain()
    found = await (await index.view()).nearest(question, 20)
    assert [hit.window.passage_id for hit in found[:2]] == ["rare:0", "rare:0"]
    assert [hit.similarity for hit in found[:2]] == pytest.approx(sorted(similarities)[:-3:-1], abs=2e-3)
    # Once the vectors are at hand, a document's windows, if they are not too many, are compared one by one.
    view = await index.view()
    await view.settled()
    again = await view.nearest(question, 20)
    assert [hit.window for hit in again[:2]] == [hit.window for hit in found[:2]]
    assert [hit.similarity for hit in again] == pytest.approx([hit.similarity for hit in found])
    for name, expected in (("common", sorted(similarities[:-2])), ("rare", sorted(similarities[-2:]))):
        within = await view.nearest(question, 20, SearchFilter(document_ids=(name,)))
        assert {hit.window.passage_id for hit in within} == {f"{name}:0"}
        assert within[0].similarity == pytest.approx(expected[-1], abs=2e-3)
    await index.close()


@settings(deadline=None)
@given(
    st.lists(st.text(alphabet="ab AB9年月日の一-", max_size=40), max_size=6), st.text("ab AB9年月日の一", max_size=12)
)
def test_a_sample_counts_the_texts_that_hold_a_term(texts: list[str], question: str) -> None:
    forms = [lexical_form(text) for text in texts]
    sample = Sample(forms)
    for term in question_terms(question):
        assert sample.frequency(term) == sum(term.needle in form for form in forms)
