"""How often answers hold the answer, refuse what the documents do not say, and what checking them finds and costs."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import material
from benchmarks.claims import pairs
from benchmarks.collection import Collection, of_files, of_texts
from benchmarks.needles import hide
from benchmarks.quality import Figure
from embedding_backend import Embedder
from pincite.answers import Answer, answer
from pincite.answers.evidence import Evidence
from pincite.answers.facts import normalised
from pincite.answers.verification import check, check_all
from pincite.passage import SearchFilter, SearchResult

PASSAGES = 5
# Every needle then stands once in the first third, once in the middle and once in the last.
_ROTATIONS = (0, 7, 13)
_LONG_CONTRACTS = 2
# Every so many of XQuAD's questions: each is asked twice, and enough remain.
_EVERY = 3


@dataclass(frozen=True, slots=True)
class Part:
    """A measured part: its figures, and what they were measured on."""

    title: str
    figures: list[Figure]


def checking() -> Part:
    """Measure the checks on the pairs made from the samples, and their price."""
    made = pairs()
    flagged = [not check(pair.claim, Evidence(1, pair.passage)).supported for pair in made]
    caught = sum(flag and not pair.supported for flag, pair in zip(flagged, made, strict=True))
    figures = [
        Figure("precision: unsupported, of those flagged", caught / sum(flagged), 0.95),
        Figure("recall: flagged, of the unsupported", caught / sum(not pair.supported for pair in made), 0.90),
    ]
    for kind in sorted({pair.kind for pair in made}):
        of_kind = [(flag, pair) for flag, pair in zip(flagged, made, strict=True) if pair.kind == kind]
        right = sum(flag != pair.supported for flag, pair in of_kind)
        figures.append(Figure(f"right on “{kind}” ({len(of_kind)} pairs)", right / len(of_kind)))
    english = [pair for pair in made if pair.language == "en"]
    passages = [pair.passage for pair in english[:: len(english) // PASSAGES]][:PASSAGES]
    claims = [pair.claim for pair in english[:: len(english) // 10]][:10]
    costs = []
    for _ in range(5):
        began = time.process_time()
        evidence = [Evidence(number, passage) for number, passage in enumerate(passages, start=1)]
        for claim in claims:
            check_all(claim, evidence)
        costs.append((time.process_time() - began) * 1e3)
    figures.append(Figure("CPU ms of ten sentences, each against five passages (at most 50)", min(costs)))
    return Part(f"Checking: {len(made)} sentence–passage pairs made from the samples, English and Chinese", figures)


async def real_documents(data: Path, embedder: Embedder, work: Path) -> Part:
    """Ask about all PDFs together, and about each half while only the other half is there."""
    paths, questions = material.real_documents(data)
    strings = [row["answer"] for row in material.lines(data / "realdocs" / "questions.jsonl")]
    collection = await of_files(paths, embedder, work, "realdocs")
    names = [path.name for path in paths]
    answered, held, refused, quotes = [], [], [], []
    for question, string in zip(questions, strings, strict=True):
        made = await _ask(collection, question.question)
        answered.append(made.kind != "refusal")
        held.append(made.kind != "refusal" and _squeezed(string) in _squeezed(_quoted(made)))
        quotes += _resolved(made, collection)
        other = tuple(names[1 - names.index(question.document) % 2 :: 2])
        refused.append((await _ask(collection, question.question, other)).kind == "refusal")
    return Part(
        f"realdocs: {len(questions)} questions on {len(paths)} PDFs, many in another language than the document",
        [
            Figure("the quotes hold the answer string", float(np.mean(held)), 0.80),
            Figure("answered, the document being there", float(np.mean(answered)), 0.95),
            Figure("refused, only the other half being there", float(np.mean(refused)), 0.90),
            Figure(f"quotes that stand verbatim on the cited page ({len(quotes)})", float(np.mean(quotes)), 1.0),
        ],
    )


async def xquad(data: Path, embedder: Embedder, work: Path) -> Part:
    """Ask each language's questions of its own paragraphs, and of the articles of the other half only."""
    figures = []
    for corpus, language in (("en", "en"), ("zh", "zh"), ("en", "zh")):
        judged = material.xquad(data, corpus, language)
        strings = {row["id"]: row["answer"] for row in material.lines(data / "xquad" / f"queries.{corpus}.jsonl")}
        collection = await of_texts(judged.texts, embedder, work, f"answers_{corpus}_{language}")
        articles = sorted({key[:3] for key in judged.texts})
        halves = [tuple(key for key in judged.texts if articles.index(key[:3]) % 2 == half) for half in (0, 1)]
        answered, held, refused = [], [], []
        for key, question in list(judged.questions.items())[::_EVERY]:
            half = articles.index(next(iter(judged.judgements[key]))[:3]) % 2
            made = await _ask(collection, question, halves[half])
            answered.append(made.kind != "refusal")
            held.append(made.kind != "refusal" and _squeezed(strings[key]) in _squeezed(_quoted(made)))
            refused.append((await _ask(collection, question, halves[1 - half])).kind == "refusal")
        figures += [
            Figure(f"{language}→{corpus} answered, the paragraph being there", float(np.mean(answered)), 0.95),
            Figure(f"{language}→{corpus} refused, only other articles being there", float(np.mean(refused)), 0.90),
            Figure(f"{language}→{corpus} the quotes hold the answer string", float(np.mean(held))),
        ]
    title = f"XQuAD: {len(held)} questions a pair of languages, half of the articles in the knowledge base"
    return Part(title, figures)


async def needles(data: Path, embedder: Embedder, work: Path) -> Part:
    """Hide facts at twenty depths of long contracts, and ask for each."""
    found: dict[float, list[bool]] = {}
    for path in sorted((data / "contracts" / "txt").glob("*.txt"))[-_LONG_CONTRACTS:]:
        for rotation in _ROTATIONS:
            text, hidden = hide(path.read_text("utf-8"), rotation)
            collection = await of_texts({path.stem: text}, embedder, work, f"needle_{path.stem}_{rotation}")
            for depth, question, string in hidden:
                made = await _ask(collection, question)
                found.setdefault(depth, []).append(string in normalised(_quoted(made)))
    depths = sorted(found)
    parts = (slice(7), slice(7, 13), slice(13, 20))
    thirds = [[hit for depth in depths[part] for hit in found[depth]] for part in parts]
    shares = [float(np.mean(third)) for third in thirds]
    names = ("the first third", "the middle", "the last third")
    figures = [Figure(f"answered from {name}", share) for name, share in zip(names, shares, strict=True)]
    figures.append(Figure("largest difference between them (at most 0.05)", max(shares) - min(shares)))
    return Part(
        f"Needles: 20 facts at 20 depths of {_LONG_CONTRACTS} contracts, {len(_ROTATIONS)} orders "
        f"({sum(map(len, found.values()))} questions)",
        figures,
    )


def table(parts: Sequence[Part], head: str) -> str:
    """Return the page."""
    lines = ["# How answers are made and checked", "", "Written by `scripts/bench answers`; no language model.", ""]
    lines += [head, ""]
    for part in parts:
        lines += [f"## {part.title}", "", "| figure | measured | meant | |", "|---|---|---|---|"]
        for figure in part.figures:
            meant, met = "", ""
            if figure.at_least is not None:
                meant, met = f"≥ {figure.at_least}", "met" if figure.value >= figure.at_least else "**not met**"
            lines.append(f"| {figure.name} | {figure.value:.3f} | {meant} | {met} |")
        lines.append("")
    return "\n".join(lines)


async def _ask(collection: Collection, question: str, documents: tuple[str, ...] = ()) -> Answer:
    async def find(asked: str) -> SearchResult:
        return await collection.search(asked, PASSAGES, SearchFilter(document_ids=documents))

    last = [event async for event in answer(question, find)][-1]
    assert isinstance(last, Answer)
    return last


def _quoted(made: Answer) -> str:
    """Return the words of the quotes, which are the answer."""
    quotes = [quote for sentence in made.sentences for quote in sentence.quotes]
    return "\n".join(made.passages[quote.number - 1].text[quote.start : quote.end] for quote in quotes)


def _resolved(made: Answer, collection: Collection) -> list[bool]:
    """Say of each quote whether its words stand at the place of its document, on a page that the citation names."""
    resolved = []
    for sentence in made.sentences:
        for quote in sentence.quotes:
            passage = made.passages[quote.number - 1]
            document = collection.documents[passage.document.path]
            start, end = passage.start + quote.start, passage.start + quote.end
            same = document.text[start:end] == passage.text[quote.start : quote.end]
            pages = {page.number for page in document.pages if page.start < end and start < page.end}
            resolved.append(same and pages <= set(passage.pages))
    return resolved


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text).casefold()
