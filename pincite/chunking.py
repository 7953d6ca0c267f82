"""A document cut into passages: whole sentences, of one section and page, never longer than the model reads.

What is embedded is `context + text`: the title, the section path and, within a table, its header row in front tell the
model what a passage is about; what is cited is the text alone.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pincite.document import Box, Document
from pincite.positions import boxes
from pincite.sections import section_paths
from pincite.sentences import sentences, trim

CountTokens = Callable[[Sequence[str]], list[int]]

# A section shorter than this share of a passage joins its neighbour: a heading alone, or one line, answers nothing.
SMALLEST_SHARE = 0.25
# The title and the section path may take this share of a passage; longer ones are cut at their front.
CONTEXT_SHARE = 0.125
# And so much the header of a table whose later rows the passage begins with; a longer one is cut at its end.
HEADER_SHARE = 0.125
# Fewer tokens than this left for the text would make a passage of the prefix.
_SMALLEST_BUDGET = 32
# Characters a token stands for at the most, on the average of a passage.
_LONGEST_TOKEN = 16


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage to be: `document.text[start:end]`, embedded with `context` in front of it.

    `section` is the path of headings ("4 Payment › 4.2 Late payment"), `table_header` the header row of the table that
    the passage begins within, "" where it begins within none or with the header itself, `pages` the 1-based physical
    pages it touches, `boxes` one rectangle a line. `windows` are ranges of whole sentences that together cover the
    passage: each gets a vector, and the best one says which sentences answer.
    """

    start: int
    end: int
    section: str
    context: str
    pages: tuple[int, ...]
    boxes: tuple[Box, ...]
    windows: tuple[tuple[int, int], ...]
    table_header: str = ""


@dataclass(slots=True)
class _Piece:
    """A sentence, or as much of one as fits, with its length in tokens and where it stands.

    `section` counts the headings before it, `page` the pages begun; a passage should have one of each.
    """

    start: int
    end: int
    tokens: int
    section: int
    page: int


def chunk(document: Document, *, max_tokens: int, count_tokens: CountTokens, window_tokens: int = 0) -> list[Chunk]:
    """Cut the document into passages of at most `max_tokens` tokens, their prefix included.

    Windows are of about `window_tokens` tokens; with 0, a passage is its only window. Every character that is not white
    space is in exactly one passage. A sentence is cut only where it alone is longer than a passage.
    """
    # What stands before the first heading has no path.
    paths = ["", *section_paths(document.sections)]
    contexts = _contexts(document, paths, int(max_tokens * CONTEXT_SHARE), count_tokens)
    headers, longest_header = _headers(document, int(max_tokens * HEADER_SHARE), count_tokens)
    table_starts = [table.header_end for table in document.tables]
    longest_context = max(count_tokens(contexts), default=0)
    budget = max(_SMALLEST_BUDGET, max_tokens - longest_context - longest_header)
    pieces = _pieces(document, budget, count_tokens)
    chunks = []
    for group in _pack(pieces, budget):
        start, end = group[0].start, group[-1].end
        section = max(group, key=lambda piece: piece.tokens).section
        pages = [page for page in document.pages if page.start < end and start < page.end]
        table = bisect_right(table_starts, start) - 1
        header = headers[table] if table >= 0 and start < document.tables[table].end else ""
        chunks.append(
            Chunk(
                start=start,
                end=end,
                section=paths[section],
                context=contexts[section] + (f"{header}\n" if header else ""),
                pages=tuple(page.number for page in pages),
                boxes=tuple(box for page in pages for box in boxes(page, start, end)),
                windows=tuple(_windows(group, window_tokens)),
                table_header=header,
            )
        )
    return chunks


def _headers(document: Document, limit: int, count_tokens: CountTokens) -> tuple[list[str], int]:
    """Return the header row of each table on one line, within `limit` tokens, and the tokens of the longest."""
    rows = (document.text[table.start : table.header_end] for table in document.tables)
    # No header that is shown is longer; one of megabytes need not be counted.
    headers = [" ".join(row[: limit * _LONGEST_TOKEN].split()) for row in rows]
    counts = count_tokens([f"{header}\n" for header in headers])
    for index, tokens in enumerate(counts):
        if tokens > limit:
            keep = int(len(headers[index]) * limit / tokens * 0.9)
            headers[index] = headers[index][:keep].rstrip() + "…"
    return headers, max(count_tokens([f"{header}\n" for header in headers]), default=0)


def _contexts(document: Document, paths: list[str], limit: int, count_tokens: CountTokens) -> list[str]:
    """Return what is embedded in front of each section's text, within `limit` tokens: the nearest headings stay."""
    headings = [" › ".join(part for part in (document.title, path) if part) for path in paths]
    contexts = [f"{heading}\n" if heading else "" for heading in headings]
    for index, tokens in enumerate(count_tokens(contexts)):
        if tokens > limit:
            keep = int(len(contexts[index]) * limit / tokens)
            contexts[index] = "…" + contexts[index][-keep:]
    return contexts


def _pieces(document: Document, budget: int, count_tokens: CountTokens) -> list[_Piece]:
    text = document.text
    starts = [section.start for section in document.sections]
    page_starts = [page.start for page in document.pages]
    spans = [span for block in _blocks(document) for span in sentences(text, *block)]
    counts = count_tokens([text[a:b] for a, b in spans])
    pieces = []
    for (start, end), tokens in zip(spans, counts, strict=True):
        section, page = bisect_right(starts, start), bisect_right(page_starts, start)
        if tokens <= budget:
            pieces.append(_Piece(start, end, tokens, section, page))
            continue
        for part_start, part_end in _split(text, start, end, budget, count_tokens):
            (part_tokens,) = count_tokens([text[part_start:part_end]])
            pieces.append(_Piece(part_start, part_end, part_tokens, section, page))
    return pieces


def _blocks(document: Document) -> Iterator[tuple[int, int]]:
    """Yield ranges that cover the whole text and break at every block, section and gap between blocks."""
    cuts = {0, len(document.text)}
    cuts.update(section.start for section in document.sections)
    for start, end in document.blocks:
        cuts.update((start, end))
    ordered = sorted(cut for cut in cuts if 0 <= cut <= len(document.text))
    yield from pairwise(ordered)


def _split(text: str, start: int, end: int, budget: int, count_tokens: CountTokens) -> Iterator[tuple[int, int]]:
    """Cut one overlong sentence: at a line, a comma or a space where there is one, anywhere else where not."""
    while start < end:
        # Never the whole of a line of megabytes, to be counted again and again.
        stop = min(end, start + budget * _LONGEST_TOKEN)
        while (tokens := count_tokens([text[start:stop]])[0]) > budget:
            stop = start + max(1, int((stop - start) * budget / tokens * 0.95))
        if stop < end:
            window = text[start:stop]
            for marks in ("\n", "；;", "，,、", " \t"):
                cut = max(window.rfind(mark) for mark in marks)
                if cut > len(window) // 2:
                    stop = start + cut + 1
                    break
        trimmed = trim(text, start, stop)
        if trimmed[0] < trimmed[1]:
            yield trimmed
        start = stop


def _pack(pieces: Iterable[_Piece], budget: int) -> Iterator[list[_Piece]]:
    """Group pieces: each section and page on its own, small neighbouring ones together, long ones in even parts."""
    smallest = int(budget * SMALLEST_SHARE)
    pending: list[_Piece] = []
    for section in _runs(pieces):
        size = _size(section)
        if pending and _size(pending) + size > budget:
            yield pending
            pending = []
        if size > budget:
            *whole, pending = _even_parts(pending + section, budget)
            yield from whole
        else:
            pending = pending + section
        if _size(pending) >= smallest:
            yield pending
            pending = []
    if pending:
        yield pending


def _windows(pieces: list[_Piece], tokens: int) -> Iterator[tuple[int, int]]:
    if not tokens:
        yield pieces[0].start, pieces[-1].end
        return
    for part in _even_parts(pieces, tokens):
        yield part[0].start, part[-1].end


def _runs(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    run: list[_Piece] = []
    for piece in pieces:
        if run and (piece.section, piece.page) != (run[-1].section, run[-1].page):
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


def _even_parts(pieces: list[_Piece], budget: int) -> list[list[_Piece]]:
    """Cut a long run into parts of about equal size, so that no small remainder is left at its end."""
    total = _size(pieces)
    target = total / -(-total // budget)
    parts: list[list[_Piece]] = [[]]
    filled = 0
    for piece in pieces:
        over = filled + piece.tokens > budget
        if parts[-1] and (over or filled + piece.tokens / 2 > target):
            parts.append([])
            filled = 0
        parts[-1].append(piece)
        filled += piece.tokens
    return parts


def _size(pieces: list[_Piece]) -> int:
    return sum(piece.tokens for piece in pieces)
