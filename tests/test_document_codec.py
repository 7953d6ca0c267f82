"""A document survives storage unchanged, and a page is read without the others."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pincite.document import Document, Page, ParseWarning, Section, Words
from pincite.document_codec import PAGES_PER_BATCH, decode, decode_page, encode, open_stored
from pincite.errors import CorruptDocument, UnknownPage

ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=200)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    text = draw(ANY_TEXT)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pages = tuple(_page(draw, number, start) for number, start in enumerate(cuts, start=1))
    return Document(
        title=draw(st.text(max_size=30)),
        media_type=draw(st.sampled_from(["application/pdf", "text/plain; language=python"])),
        text=text,
        pages=pages,
        sections=tuple(Section(c, draw(st.integers(1, 9)), draw(ANY_TEXT)) for c in cuts),
        blocks=tuple(zip(cuts[::2], cuts[1::2], strict=False)),
        warnings=tuple(ParseWarning("code", draw(ANY_TEXT), draw(st.none() | st.just(7))) for _ in cuts[:2]),
    )


def _page(draw: st.DrawFn, number: int, start: int) -> Page:
    lengths = draw(st.lists(st.integers(1, 20), max_size=12))
    starts = np.asarray([start + sum(lengths[:i]) for i in range(len(lengths))], np.int32)
    boxes = [[draw(st.floats(0, 2000, width=32)) for _ in range(4)] for _ in lengths]
    words = Words(
        starts,
        starts + np.asarray(lengths, np.int32),
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.arange(len(lengths), dtype=np.int32) // 3,
    )
    label = draw(st.none() | st.sampled_from(["xii", "A-1", ""]))
    return Page(number, label, start, start + sum(lengths), draw(st.floats(1, 3000)), 842.0, words)


def same_page(a: Page, b: Page) -> bool:
    plain = all(getattr(a, f) == getattr(b, f) for f in ("number", "label", "start", "end", "width", "height"))
    arrays = all(
        np.array_equal(getattr(a.words, f), getattr(b.words, f))
        and getattr(a.words, f).dtype == getattr(b.words, f).dtype
        for f in ("starts", "ends", "boxes", "lines")
    )
    return plain and arrays


def same_document(a: Document, b: Document) -> bool:
    fields = ("title", "media_type", "text", "sections", "blocks", "warnings")
    pages = len(a.pages) == len(b.pages) and all(map(same_page, a.pages, b.pages))
    return pages and all(getattr(a, f) == getattr(b, f) for f in fields)


def numbered_pages(count: int) -> Document:
    pages = tuple(
        Page(n, str(n), n, n + 1, 595.0, 842.0, Words(*(np.asarray([n], np.int32), np.asarray([n + 1], np.int32)),
             np.full((1, 4), n, np.float32), np.zeros(1, np.int32)))
        for n in range(1, count + 1)
    )  # fmt: skip
    return Document("t", "application/pdf", "x" * (count + 2), pages)


@given(documents())
@settings(max_examples=60, deadline=None)
def test_decoding_gives_back_what_was_encoded(document: Document) -> None:
    assert same_document(decode(encode(document)), document)


@pytest.mark.parametrize("count", [1, PAGES_PER_BATCH, PAGES_PER_BATCH + 1, 40])
def test_every_page_can_be_read_by_its_number(count: int) -> None:
    document = numbered_pages(count)
    data = encode(document)
    assert all(same_page(decode_page(data, page.number), page) for page in document.pages)


@pytest.mark.parametrize("number", [0, -1, 4])
def test_a_page_that_does_not_exist_is_named(number: int) -> None:
    with pytest.raises(UnknownPage, match=f"no page {number}; it has 3 pages"):
        decode_page(encode(numbered_pages(3)), number)


def test_a_stored_document_is_read_from_its_file(tmp_path: Path) -> None:
    document = numbered_pages(20)
    path = tmp_path / "document.arrow"
    path.write_bytes(encode(document))
    with open_stored(path) as stored:
        assert (stored.title, stored.page_count, stored.text) == ("t", 20, document.text)
        page = stored.page(19)
        assert same_document(stored.document(), document)
    assert same_page(page, document.pages[18])


@pytest.mark.parametrize("cut", [0, 8, 100, -1, -40])
def test_damaged_bytes_are_refused(cut: int) -> None:
    with pytest.raises(CorruptDocument, match="damaged"):
        decode(encode(numbered_pages(3))[:cut])


@given(st.binary(max_size=60), st.integers(0, 3000))
@settings(max_examples=200, deadline=None)
def test_bytes_changed_anywhere_never_do_worse_than_an_error(noise: bytes, at: int) -> None:
    data = bytearray(encode(numbered_pages(3)))
    at = min(at, len(data))
    data[at : at + len(noise)] = noise
    with contextlib.suppress(CorruptDocument):
        assert isinstance(decode(bytes(data)), Document)
