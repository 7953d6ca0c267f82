"""The samples hold what their questions ask for, on the page that is named."""

import json
from pathlib import Path
from typing import Any

import pymupdf
import pytest

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
QUESTIONS: list[dict[str, Any]] = [
    json.loads(line) for line in (SAMPLES / "questions.jsonl").read_text("utf-8").splitlines()
]


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.fixture(scope="module")
def pages() -> dict[str, list[str]]:
    found = {}
    for name in ("handbook.pdf", "contract.zh.pdf"):
        with pymupdf.open(SAMPLES / name) as pdf:
            found[name] = [squeezed(page.get_text()) for page in pdf]
    return found


@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda asked: asked["question"])
def test_the_answer_stands_on_the_page_of_the_question(asked: dict[str, Any], pages: dict[str, list[str]]) -> None:
    if asked["page"] is None:
        assert asked["document"] not in pages
        return
    assert squeezed(asked["answer"]) in pages[asked["document"]][asked["page"] - 1]


def test_there_are_questions_in_both_languages_and_across_them() -> None:
    chinese_documents = {"contract.zh.pdf", "contract.zh.docx"}
    kinds = {(asked["lang"], asked["document"] in chinese_documents) for asked in QUESTIONS}
    assert kinds == {("en", False), ("en", True), ("zh", False), ("zh", True)}
    assert len(QUESTIONS) >= 24


def test_the_handbook_has_front_matter_an_outline_and_a_turned_page() -> None:
    with pymupdf.open(SAMPLES / "handbook.pdf") as handbook:
        labels = [page.get_label() for page in handbook]
        assert len(handbook) >= 20
        assert labels[:5] == ["i", "ii", "iii", "iv", "1"]
        assert any(title == "4.5 Parental leave" for _, title, _ in handbook.get_toc())
        assert {page.rotation for page in handbook} == {0, 90}


def test_the_samples_are_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.iterdir() if path.is_file()) < 3_000_000
