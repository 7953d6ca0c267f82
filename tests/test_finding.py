"""Exact words found in a document, with the place of each."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pincite.document import Document, Page, Section, Words
from pincite.document_codec import StoredDocument, encode
from pincite.errors import InvalidRequest
from pincite.finding import MAX_WANTED, find

TEXT = "The supplier pays.\nThe\nsupplier keeps 本协议自签\n署之日起生效。"


def stored(text: str, page_starts: tuple[int, ...] = ()) -> StoredDocument:
    ends = [*page_starts[1:], len(text)]
    pages = tuple(
        Page(number, f"p{number}", start, end, 595, 842, Words.none())
        for number, (start, end) in enumerate(zip(page_starts, ends, strict=False), 1)
    )
    document = Document("Title", "text/plain", text, pages, (Section(0, 1, "One"),))
    return StoredDocument(pa.BufferReader(encode(document)))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("supplier", ["supplier", "supplier"]),
        ("The supplier", ["The supplier", "The\nsupplier"]),
        ("本协议自签署之日起", ["本协议自签\n署之日起"]),
        ("the supplier", []),
        ("supplierpays", []),
        ("pays.", ["pays."]),
        ("pay.", []),
    ],
)
def test_only_where_lines_end_may_the_white_space_differ(wanted: str, found: list[str]) -> None:
    occurrences = find(stored(TEXT), wanted)
    assert [place.text for place in occurrences.found] == found
    assert occurrences.total == len(found)


def test_a_place_has_its_page_and_section() -> None:
    begins = TEXT.index("The\nsupplier")
    first, second = find(stored(TEXT, (0, begins)), "supplier").found
    assert (first.page, first.page_label, second.page, second.page_label) == (1, "p1", 2, "p2")
    [across] = find(stored(TEXT, (0, begins)), "pays. The").found
    assert across.pages == (1, 2)
    assert across.section == "One"


def test_a_format_without_pages_has_places_without_pages() -> None:
    [place] = find(stored(TEXT), "keeps").found
    assert (place.page, place.page_label, place.pages, place.boxes) == (None, None, (), ())
    assert place.context == " ".join(TEXT.split())


@pytest.mark.parametrize("wanted", ["", " \n ", "x" * (MAX_WANTED + 1)])
def test_nothing_and_too_much_are_refused(wanted: str) -> None:
    with pytest.raises(InvalidRequest):
        find(stored(TEXT), wanted)


@given(st.text(alphabet="ab 本协\n", min_size=1, max_size=60), st.data())
def test_whatever_stands_in_the_text_is_found_verbatim(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    wanted = text[start:end]
    if not wanted.strip():
        return
    document = stored(text)
    every = find(document, wanted, limit=len(text))
    assert all(document.text[place.start : place.end] == place.text for place in every.found)
    assert any(place.text.split() == wanted.split() for place in every.found)
    parts = [place for skip in range(every.total) for place in find(document, wanted, skip=skip, limit=1).found]
    assert tuple(parts) == every.found
