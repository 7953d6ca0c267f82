"""Real PDFs that nobody here wrote: every piece of evidence is found on its page, and its words cover its place."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pincite.document import Document
from pincite.parsing.pdf import parse_pdf
from tests.parsing.test_pdf import check_invariants

DATA = Path(__file__).parents[3] / "shared" / "data"

pytestmark = [
    pytest.mark.material,
    pytest.mark.skipif(not (DATA / "realdocs").exists(), reason="../shared/data is absent"),
]

# The contracts' labels were typed with plain punctuation.
_PLAIN = str.maketrans("’‘“”–—\u037e\xa0\xad", "''\"\"--; -")


@cache
def parsed(file: str) -> Document:
    return parse_pdf((DATA / file).read_bytes(), Path(file).name)


def files() -> list[str]:
    return sorted(str(p.relative_to(DATA)) for p in DATA.glob("*/pdf/*.pdf"))


def lines_of(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text("utf-8").splitlines()]


def place(document: Document, quote: str, page: int) -> tuple[int, int] | None:
    """Where a quote begins on a page, white space aside; it may end on the next."""
    pattern = r"\s*".join(re.escape(c) for c in "".join(quote.translate(_PLAIN).split()))
    start = document.pages[page - 1].start
    end = document.pages[min(page, len(document.pages) - 1)].end
    found = re.search(pattern, document.text[start:end].translate(_PLAIN))
    if found is None or start + found.start() >= document.pages[page - 1].end:
        return None
    return start + found.start(), start + found.end()


def covered(document: Document, page: int, span: tuple[int, int], rectangles: list[list[float]]) -> float:
    """The share of the rectangles' area that lies under the span's words, taken line by line (half-point grid)."""
    words = document.pages[page - 1].words
    chosen = (words.starts < span[1]) & (words.ends > span[0])
    rows = [words.boxes[chosen & (words.lines == n)] for n in np.unique(words.lines[chosen])]
    area = hit = 0
    for x0, y0, x1, y1 in rectangles:
        xs, ys = np.arange(x0 + 0.25, x1, 0.5), np.arange(y0 + 0.25, y1, 0.5)
        under = np.zeros((len(ys), len(xs)), bool)
        for row in rows:
            left, top, right, bottom = row[:, 0].min(), row[:, 1].min(), row[:, 2].max(), row[:, 3].max()
            under |= ((ys >= top) & (ys <= bottom))[:, None] & ((xs >= left) & (xs <= right))[None, :]
        area += under.size
        hit += int(under.sum())
    return hit / area


@pytest.mark.parametrize("file", files())
def test_ranges_and_words_hold(file: str) -> None:
    document = parsed(file)
    check_invariants(document)
    assert not [w for w in document.warnings if w.code == "page_failed"]


def test_evidence_is_found_on_its_page_and_its_words_cover_its_place() -> None:
    questions = [q for q in lines_of("realdocs/questions.jsonl") if q["file"].endswith(".pdf")]
    assert len(questions) >= 28
    shares = []
    for question in questions:
        document = parsed(f"realdocs/{question['file']}")
        found = place(document, question["evidence"], question["page"])
        assert found is not None, question["id"]
        shares.append(covered(document, question["page"], found, question["evidence_rects"]))
    # The rectangles are of whole runs between spaces; in Chinese our words are tighter.
    assert sum(shares) / len(shares) >= 0.95


def test_clauses_of_contracts_are_found_on_their_page_and_covered() -> None:
    clauses = [c for c in lines_of("contracts/clauses.jsonl") if c.get("text") and c.get("page")]
    assert len(clauses) >= 560
    shares = []
    for clause in clauses:
        document = parsed(f"contracts/pdf/{clause['doc_id']}.pdf")
        found = place(document, clause["text"], clause["page"])
        assert found is not None, clause["id"]
        shares.append(covered(document, clause["page"], found, clause["rects"][str(clause["page"])]))
    assert sum(share >= 0.9 for share in shares) / len(shares) >= 0.99


def test_a_scan_is_reported_page_by_page() -> None:
    document = parsed("realdocs/pdf/scan_medical_report.pdf")
    assert [(w.code, w.page) for w in document.warnings] == [("page_without_text", n) for n in (1, 2, 3)]
    assert all("looks scanned" in w.message for w in document.warnings)


@pytest.mark.parametrize(
    ("contract", "expected"),
    [
        ("c04", ["ARTICLE III SERVICING OF RECEIVABLES", "Section 3.8 Servicer’s Fees", "Section 7.1 No Resignation"]),
        ("c07", ["5. RENEWAL OF FRANCHISE TERM", "4.I. LATE CHARGE AND INTEREST"]),
        ("c16", ["ARTICLE 4 REGULATORY", "2.10 Liability for Non-Compliance"]),
        ("c19", ["ARTICLE IV PRODUCT PROMOTION", "Section 4.8 Trademarks"]),
    ],
)
def test_clause_headings_are_sections(contract: str, expected: list[str]) -> None:
    titles = [s.title for s in parsed(f"contracts/pdf/{contract}.pdf").sections]
    assert [t for t in titles if t in expected] == sorted(expected, key=titles.index)
    assert set(expected) <= set(titles)
