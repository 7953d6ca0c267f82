"""How often the right page, the right text and the right passage come first, on judged material."""

import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import material
from benchmarks.collection import Collection, Costs, of_files, of_texts
from benchmarks.material import Judged, PageQuestion
from embedding_backend import Embedder
from pincite.passage import Passage

LANGUAGES = ("en", "zh", "es", "ar")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure; `at_least` is what it is meant to reach, None where nothing is promised."""

    name: str
    value: float
    at_least: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A set's figures and what they cost."""

    title: str
    questions: int
    figures: list[Figure]
    costs: Costs


async def real_documents(data: Path, embedder: Embedder, work: Path) -> Outcome:
    """All PDFs of `realdocs` in one knowledge base."""
    paths, questions = material.real_documents(data)
    collection = await of_files(paths, embedder, work, "realdocs")
    found = [(question, (await collection.search(question.question, 5)).passages) for question in questions]
    same = [pair for pair in found if pair[0].language == pair[0].document_language]
    across = [pair for pair in found if pair[0].language != pair[0].document_language]
    figures = [
        Figure("page@1", _share(found, lambda q, p: _right_page(q, p[:1])), 0.75),
        Figure("page@5", _share(found, _right_page), 0.93),
        Figure("evidence text in the top five", _share(found, _holds_evidence), 0.90),
        Figure(f"page@5, question in the document's language ({len(same)})", _share(same, _right_page)),
        Figure(f"page@5, across languages ({len(across)})", _share(across, _right_page)),
        Figure("right document first", _share(found, lambda q, p: bool(p) and p[0].document.path == q.document)),
    ]
    return Outcome("realdocs: 16 PDFs in six languages, one knowledge base", len(questions), figures, collection.costs)


async def contracts(data: Path, embedder: Embedder, work: Path) -> Outcome:
    """All contracts in one knowledge base."""
    paths, questions = material.contracts(data)
    collection = await of_files(paths, embedder, work, "contracts")
    found = [(question, (await collection.search(question.question, 5)).passages) for question in questions]
    covered = [
        _covered(question, passage)
        for question, passages in found
        for passage in passages
        if passage.document.path == question.document and _squeezed(question.evidence) in _squeezed(passage.text)
    ]
    figures = [
        Figure("page@1", _share(found, lambda q, p: _right_page(q, p[:1]))),
        Figure("page@5", _share(found, _right_page), 0.65),
        Figure(f"area of the clause's boxes covered ({len(covered)} right passages)", float(np.mean(covered)), 0.90),
        Figure("right document first", _share(found, lambda q, p: bool(p) and p[0].document.path == q.document)),
    ]
    return Outcome("contracts: 10 long contracts, one knowledge base", len(questions), figures, collection.costs)


async def xquad(data: Path, embedder: Embedder, work: Path) -> Outcome:
    """Each language's paragraphs on their own: questions in the same language, and across English and Chinese."""
    costs = Costs()
    figures = []
    targets = {("en", "en"): 0.985, ("zh", "zh"): 0.975, ("zh", "en"): 0.90, ("en", "zh"): 0.90}
    asked = 0
    for corpus in LANGUAGES:
        texts = material.xquad(data, corpus, corpus).texts
        collection = await of_texts(texts, embedder, work, f"xquad_{corpus}")
        for language in LANGUAGES:
            if corpus in {"en", language} or (language, corpus) == ("en", "zh"):
                judged = material.xquad(data, corpus, language)
                ranked = await _ranked(collection, judged)
                asked += len(judged.questions)
                name = f"{language}→{corpus} nDCG@10"
                figures.append(Figure(name, _ndcg(ranked, judged.judgements), targets.get((language, corpus))))
        _add(costs, collection.costs)
    order = {figure.name: place for place, figure in enumerate(sorted(figures, key=lambda f: f.at_least is None))}
    figures.sort(key=lambda figure: order[figure.name])
    return Outcome("XQuAD: 120 paragraphs of one language, questions in another", asked, figures, costs)


async def mixed(data: Path, embedder: Embedder, work: Path) -> Outcome:
    """Even paragraphs in English and odd ones in Chinese, one knowledge base, questions in both."""
    english, chinese = (material.xquad(data, language, language) for language in ("en", "zh"))
    texts = {key: (english if place % 2 == 0 else chinese).texts[key] for place, key in enumerate(english.texts)}
    in_english = {key for place, key in enumerate(english.texts) if place % 2 == 0}
    collection = await of_texts(texts, embedder, work, "xquad_mixed")
    figures = []
    for language, judged in (("en", english), ("zh", chinese)):
        ranked = await _ranked(collection, judged)
        for corpus in ("en", "zh"):
            part = {q: j for q, j in judged.judgements.items() if (next(iter(j)) in in_english) == (corpus == "en")}
            target = 0.975 if language == corpus else 0.88
            figures.append(Figure(f"{language}→{corpus} nDCG@10", _ndcg(ranked, part), target))
    return Outcome(
        "XQuAD mixed: even paragraphs in English, odd in Chinese, one knowledge base",
        2 * len(english.questions),
        figures,
        collection.costs,
    )


def judged_set(name: str, title: str, target: float | None) -> Callable[[Path, Embedder, Path], Awaitable[Outcome]]:
    """Return the measurement of one of the judged retrieval sets."""

    async def measure(data: Path, embedder: Embedder, work: Path) -> Outcome:
        judged = material.retrieval(data, name)
        collection = await of_texts(judged.texts, embedder, work, name)
        ranked = await _ranked(collection, judged)
        recalled = [any(key in judged.judgements[question] for key in keys[:5]) for question, keys in ranked.items()]
        figures = [
            Figure("recall@5 (a judged text in the first five)", float(np.mean(recalled)), target),
            Figure("nDCG@10", _ndcg(ranked, judged.judgements)),
        ]
        return Outcome(title, len(judged.questions), figures, collection.costs)

    return measure


SETS: dict[str, Callable[[Path, Embedder, Path], Awaitable[Outcome]]] = {
    "realdocs": real_documents,
    "contracts": contracts,
    "xquad": xquad,
    "mixed": mixed,
    "zh_cmrc2018": judged_set("zh_cmrc2018", "CMRC 2018: 3,052 Chinese paragraphs", 0.93),
    "zhHant_drcd": judged_set("zhHant_drcd", "DRCD: 999 paragraphs in traditional Chinese", 0.93),
    "en_cranfield": judged_set("en_cranfield", "Cranfield: 1,400 English abstracts", None),
    "en_cisi": judged_set("en_cisi", "CISI: 1,460 English abstracts", None),
}


async def _ranked(collection: Collection, judged: Judged) -> dict[str, list[str]]:
    """Return the ids of the found texts for each question, best first."""
    ranked = {}
    for key, question in judged.questions.items():
        # One set has a question without a word; it counts as not found.
        passages = (await collection.search(question, 10)).passages if question.strip() else ()
        ranked[key] = list(dict.fromkeys(passage.document.path for passage in passages))
    return ranked


def _ndcg(ranked: Mapping[str, Sequence[str]], judgements: Mapping[str, Mapping[str, int]], depth: int = 10) -> float:
    gains = []
    for question, grades in judgements.items():
        found = [grades.get(key, 0) for key in ranked[question][:depth]]
        best = sorted(grades.values(), reverse=True)[:depth]
        gains.append(_discounted(found) / _discounted(best))
    return float(np.mean(gains))


def _discounted(grades: Sequence[int]) -> float:
    return sum(grade / math.log2(place + 2) for place, grade in enumerate(grades))


def _share(
    found: Sequence[tuple[PageQuestion, Sequence[Passage]]], holds: Callable[[PageQuestion, Sequence[Passage]], bool]
) -> float:
    return float(np.mean([holds(question, passages) for question, passages in found]))


def _right_page(question: PageQuestion, passages: Sequence[Passage]) -> bool:
    return any(p.document.path == question.document and p.page in question.pages for p in passages)


def _holds_evidence(question: PageQuestion, passages: Sequence[Passage]) -> bool:
    evidence = _squeezed(question.evidence)
    return any(evidence in _squeezed(p.text) for p in passages if p.document.path == question.document)


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _covered(question: PageQuestion, passage: Passage) -> float:
    """Return the share of the clause's area that the passage's boxes cover, on a grid of half points."""
    area = covered = 0
    for page, rects in question.rects.items():
        grid = np.zeros((2 * 2000, 2 * 2000), bool)
        for box in passage.boxes:
            if box.page == page:
                grid[_cells(box.y0, box.y1), _cells(box.x0, box.x1)] = True
        for x0, y0, x1, y1 in rects:
            cell = grid[_cells(y0, y1), _cells(x0, x1)]
            area += cell.size
            covered += int(cell.sum())
    return covered / area if area else 1.0


def _cells(start: float, end: float) -> slice:
    return slice(max(0, round(start * 2)), max(0, round(end * 2)))


def _add(total: Costs, part: Costs) -> None:
    for sums, values in ((total.cpu_s, part.cpu_s), (total.wall_s, part.wall_s)):
        for step, seconds in values.items():
            sums[step] = sums.get(step, 0.0) + seconds
    total.pages += part.pages
    total.passages += part.passages
    total.tokens += part.tokens
