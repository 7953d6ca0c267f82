"""Text without pictures is shown whole, in order, cut at sensible places, with the right words marked."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from http_server.viewer.running_text import paragraphs, part_of, parts
from http_server.viewer.target import Target
from pincite.document import Section
from pincite.sections import section_titles

TEXT = "# Leave\n\nStaff have 30 days of leave.\nAsk early.\n\n## Sick leave\n\nCall before nine."
BLOCKS = [(0, 7), (9, 48), (50, 63), (65, 82)]
SECTIONS = [Section(0, 1, "Leave"), Section(50, 2, "Sick leave")]


def shown(target: Target) -> list[tuple[int, list[tuple[str, str]]]]:
    found = paragraphs(TEXT, (0, len(TEXT)), BLOCKS, SECTIONS, target)
    return [(paragraph.level, [(piece.text, piece.kind) for piece in paragraph.pieces]) for paragraph in found]


def test_blocks_become_paragraphs_and_section_titles_become_headings() -> None:
    assert shown(Target()) == [
        (1, [("# Leave", "")]),
        (0, [("Staff have 30 days of leave.\nAsk early.", "")]),
        (2, [("## Sick leave", "")]),
        (0, [("Call before nine.", "")]),
    ]


def test_the_passage_its_sentence_and_its_words_are_marked_within_each_other() -> None:
    start = TEXT.index("Staff")
    days = TEXT.index("30 days")
    target = Target(start=start, end=48, sentences=((start, start + 28),), terms=((days, days + 7),))
    assert shown(target)[1][1] == [
        ("Staff have ", "passage sentence"),
        ("30 days", "passage sentence term"),
        (" of leave.", "passage sentence"),
        ("\nAsk early.", "passage"),
    ]


def test_rows_that_no_empty_line_parts_follow_each_other() -> None:
    rows = "a | b\nc | d\n\ne | f"
    found = paragraphs(rows, (0, len(rows)), [(0, 5), (6, 11), (13, 18)], [], Target())
    assert [paragraph.follows for paragraph in found] == [False, True, False]


def test_a_long_block_that_begins_a_section_is_not_a_heading() -> None:
    code = "def leave():\n" + "    return 30\n" * 10
    found = paragraphs(code, (0, len(code)), [(0, len(code))], [Section(0, 1, "def leave")], Target())
    assert [paragraph.level for paragraph in found] == [0]


def test_text_between_blocks_is_not_lost() -> None:
    found = paragraphs("one two three", (0, 13), [(4, 7)], [], Target())
    assert ["".join(piece.text for piece in paragraph.pieces) for paragraph in found] == ["one ", "two", " three"]


def test_the_section_path_names_the_sections_around_an_offset() -> None:
    assert section_titles(SECTIONS, 70) == ("Leave", "Sick leave")
    assert section_titles(SECTIONS, 20) == ("Leave",)
    assert section_titles([Section(10, 1, "Later")], 3) == ()


def test_a_long_text_is_cut_at_the_edge_of_a_block() -> None:
    blocks = [(start, start + 90) for start in range(0, 1000, 100)]
    assert parts(1000, blocks, size=350) == [(0, 300), (300, 600), (600, 1000)]


def test_a_text_of_a_single_line_is_cut_all_the_same() -> None:
    assert parts(1000, [(0, 1000)], size=300) == [(0, 300), (300, 600), (600, 1000)]


def test_an_empty_text_is_one_part() -> None:
    assert parts(0, [], size=300) == [(0, 0)]
    assert part_of([(0, 0)], 0) == 1


@st.composite
def texts_with_blocks(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]]]:
    text = draw(st.text("ab \n字", max_size=200))
    edges = sorted(draw(st.lists(st.integers(0, len(text)), unique=True, max_size=12)))
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    return text, pairs


@given(texts_with_blocks(), st.integers(5, 60), st.integers(0, 200), st.integers(0, 200))
def test_every_visible_character_is_shown_exactly_once(
    document: tuple[str, list[tuple[int, int]]], size: int, start: int, end: int
) -> None:
    text, blocks = document
    spans = parts(len(text), blocks, size=size)
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)
    assert all(left[1] == right[0] for left, right in itertools.pairwise(spans))
    target = Target(start=start, end=end)
    pieces = [
        piece
        for span in spans
        for paragraph in paragraphs(text, span, blocks, [], target)
        for piece in paragraph.pieces
    ]
    assert "".join("".join(piece.text for piece in pieces).split()) == "".join(text.split())
    marked = "".join(piece.text for piece in pieces if piece.kind == "passage")
    assert "".join(marked.split()) == "".join(text[start:end].split())


@given(st.integers(0, 5000), st.integers(10, 500), st.integers(0, 5000))
def test_every_offset_lies_in_its_part(length: int, size: int, offset: int) -> None:
    spans = parts(length, [], size=size)
    number = part_of(spans, offset)
    start, end = spans[number - 1]
    assert start <= offset
    assert offset < end or number == len(spans)
