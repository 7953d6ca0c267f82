"""The judged material: documents, questions and where their answers stand."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class PageQuestion:
    """A question whose answer stands on known pages of one document; `rects` are by page, in points."""

    question: str
    language: str
    document: str
    document_language: str
    pages: frozenset[int]
    evidence: str
    rects: dict[int, list[tuple[float, float, float, float]]]


@dataclass(frozen=True, slots=True)
class Judged:
    """A collection of short texts and questions with graded judgements: question id to {text id: grade}."""

    texts: dict[str, str]
    questions: dict[str, str]
    judgements: dict[str, dict[str, int]]


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON lines file."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def real_documents(data: Path) -> tuple[list[Path], list[PageQuestion]]:
    """Return the PDFs of `realdocs` and their questions."""
    folder = data / "realdocs"
    questions = [
        PageQuestion(
            row["question"],
            row["q_lang"],
            Path(row["file"]).name,
            row["doc_lang"],
            frozenset(row["all_pages"]),
            row["evidence"],
            {row["page"]: [tuple(rect) for rect in row["evidence_rects"]]},
        )
        for row in lines(folder / "questions.jsonl")
    ]
    return sorted((folder / "pdf").glob("*.pdf")), questions


def contracts(data: Path) -> tuple[list[Path], list[PageQuestion]]:
    """Return the contracts and their clauses that stand once and are 40 characters or longer."""
    folder = data / "contracts"
    titles = {row["id"]: row["title"] for row in lines(folder / "contracts.jsonl")}
    questions = [
        PageQuestion(
            f"{row['category']}: {row['details']} {titles[row['doc_id']]}",
            "en",
            f"{row['doc_id']}.pdf",
            "en",
            frozenset(row["all_pages"]),
            row["answer"],
            {int(page): [tuple(rect) for rect in rects] for page, rects in row["rects"].items()},
        )
        for row in lines(folder / "clauses.jsonl")
        if row["occurrences"] == 1 and len(row["answer"]) >= 40
    ]
    return sorted((folder / "pdf").glob("*.pdf")), questions


def xquad(data: Path, corpus: str, questions: str) -> Judged:
    """Return the paragraphs of one language and the questions of another; ids are the same in all languages."""
    asked = lines(data / "xquad" / f"queries.{questions}.jsonl")
    return Judged(
        {row["id"]: row["text"] for row in lines(data / "xquad" / f"corpus.{corpus}.jsonl")},
        {row["id"]: row["question"] for row in asked},
        {row["id"]: {row["doc_id"]: 1} for row in asked},
    )


def retrieval(data: Path, name: str) -> Judged:
    """Return one of the judged retrieval sets."""
    folder = data / "retrieval" / name
    judgements: dict[str, dict[str, int]] = {}
    for question, text, grade in _table(folder / "qrels.tsv"):
        judgements.setdefault(question, {})[text] = int(grade)
    return Judged(
        {row["id"]: row["text"] for row in lines(folder / "corpus.jsonl")},
        {row["id"]: row["text"] for row in lines(folder / "queries.jsonl")},
        judgements,
    )


def _table(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8") as file:
        next(file)
        for line in file:
            yield line.rstrip("\n").split("\t")
