"""A piece of a document as the `source` by which Open WebUI shows a citation.

It numbers the sources of a message in the order in which they arrive, and turns a `[1]` in the text into a chip that
reads as the first is named and opens what it leads to beside the chat.
"""

import html
import re
from dataclasses import dataclass
from typing import Any

from pincite.passage import Mark, Passage

# Open WebUI shows a passage in a frame of few lines: a best sentence that begins later than this is put on top as well.
IN_VIEW = 200
_ADDRESS = re.compile(r"https?:/+", re.IGNORECASE)
_STYLE = "white-space:pre-wrap;font:14px/1.5 system-ui,sans-serif;color:#1f2328;background:#fff;padding:8px"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a citation shows; `page` is 1-based, `marks` are offsets into `text`, `url` opens it in the viewer."""

    id: str
    path: str
    url: str
    text: str
    page: int | None
    section: str
    score: float | None = None
    marks: tuple[Mark, ...] = ()

    @staticmethod
    def of(passage: Passage, url: str) -> "Shown":
        """Return a passage that a search found."""
        where = (passage.document.path, url, passage.text, passage.page, passage.section)
        return Shown(passage.id, *where, passage.score, passage.marks)

    @property
    def source_id(self) -> str:
        """The id under which a chat knows it: one for each, so that each has a number of its own."""
        return f"pincite:{self.id}"


def source_data(shown: Shown, language: str) -> dict[str, Any]:
    """Return the data of a `source` event, named in a `language`, "en" or "zh"; `page` is 0-based in it."""
    name = _name(shown, language)
    metadata: dict[str, Any] = {"source": shown.source_id, "name": name, "html": True}
    if shown.page is not None:
        metadata["page"] = shown.page - 1
    data = {
        "source": {"id": shown.source_id, "name": name, "url": shown.url, "embed_url": shown.url},
        "document": [marked_html(shown.text, shown.marks)],
        "metadata": [metadata],
    }
    return data if shown.score is None else data | {"distances": [round(shown.score, 4)]}


def marked_html(text: str, marks: tuple[Mark, ...]) -> str:
    """Return a text as HTML of our own making: escaped, its marks as `<mark>`, the best sentence in view."""
    pieces, end = [], 0
    for mark in sorted(marks, key=lambda mark: (mark.start, mark.end)):
        if mark.end <= end:
            continue
        start = max(mark.start, end)
        pieces.append(html.escape(text[end:start]))
        pieces.append(f"<mark>{html.escape(text[start : mark.end])}</mark>")
        end = mark.end
    pieces.append(html.escape(text[end:]))
    best = next((mark for mark in marks if mark.kind == "sentence" and mark.start > IN_VIEW), None)
    lead = f"<mark>{html.escape(text[best.start : best.end].strip())}</mark><hr>" if best else ""
    return f'<div style="{_STYLE}">{lead}{"".join(pieces).replace("</mark><mark>", "")}</div>'


def _name(shown: Shown, language: str) -> str:
    """Return what the chip reads, such as "handbook.pdf, p. 12"; a format without pages has its section."""
    # With an address in it, Open WebUI would show only its host, and ask a third party for an icon.
    name = _ADDRESS.sub("", shown.path.rstrip("/")).rsplit("/", 1)[-1]
    if shown.page is not None:
        return f"{name}，第 {shown.page} 页" if language == "zh" else f"{name}, p. {shown.page}"
    section = _ADDRESS.sub("", shown.section.rsplit(" › ", 1)[-1])
    return f"{name}{'，' if language == 'zh' else ', '}{section}" if section else name
