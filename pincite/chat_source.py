"""A passage as the `source` event by which Open WebUI shows a citation.

It numbers the sources of a message in the order in which they arrive, and turns a `[1]` in the text into a chip that
reads as the first is named and opens what it leads to beside the chat.
"""

import html
import re
from typing import Any

from pincite.passage import Mark, Passage

# Open WebUI shows a passage in a frame of few lines: a best sentence that begins later than this is put on top as well.
IN_VIEW = 200
_ADDRESS = re.compile(r"https?:/+", re.IGNORECASE)
_STYLE = "white-space:pre-wrap;font:14px/1.5 system-ui,sans-serif;color:#1f2328;background:#fff;padding:8px"


def source_event(passage: Passage, url: str, language: str) -> dict[str, Any]:
    """Return a passage as a `source` event, named in a `language`, "en" or "zh"; `page` is 0-based in it."""
    name, identifier = _name(passage, language), f"pincite:{passage.id}"
    metadata: dict[str, Any] = {"source": identifier, "name": name, "html": True}
    if passage.page is not None:
        metadata["page"] = passage.page - 1
    source = {"id": identifier, "name": name, "url": url, "embed_url": url}
    document, distances = [marked_html(passage.text, passage.marks)], [round(passage.score, 4)]
    data = {"source": source, "document": document, "metadata": [metadata], "distances": distances}
    return {"type": "source", "data": data}


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


def _name(passage: Passage, language: str) -> str:
    """Return what the chip reads, such as "handbook.pdf, p. 12"; a format without pages has its section."""
    # With an address in it, Open WebUI would show only its host, and ask a third party for an icon.
    name = _ADDRESS.sub("", passage.document.path.rstrip("/")).rsplit("/", 1)[-1]
    if passage.page is not None:
        return f"{name}，第 {passage.page} 页" if language == "zh" else f"{name}, p. {passage.page}"
    section = _ADDRESS.sub("", passage.section.rsplit(" › ", 1)[-1])
    return f"{name}{'，' if language == 'zh' else ', '}{section}" if section else name
