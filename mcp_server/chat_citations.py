"""Results as citations in the chat of Open WebUI that called the tool, which it does not show by itself.

It numbers the sources of a message in the order in which they arrive, and turns a `[1]` in the answer into a chip that
opens the first. So each result is sent as a source before the model reads it, and the model is told its number.
"""

import asyncio
import html
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from mcp_server.asking import Asking
from pincite.errors import PinciteError
from pincite.openwebui import Message, OpenWebUI
from pincite.passage import Mark

# The custom headers that the connection in Open WebUI is set up with, and what it sends by itself where that is on.
CHAT_HEADER, MESSAGE_HEADER = "X-OpenWebUI-Chat-Id", "X-OpenWebUI-Message-Id"
# What a busy Open WebUI may take for the sources of one call; one that is gone has refused the session before.
DEADLINE_S = 20.0
# Open WebUI shows a passage in a frame of few lines: a best sentence that begins later than this is put on top as well.
IN_VIEW = 200
ADDRESS = re.compile(r"https?:/+", re.IGNORECASE)
CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
STYLE = "white-space:pre-wrap;font:14px/1.5 system-ui,sans-serif;color:#1f2328;background:#fff;padding:8px"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """A piece of a document that a tool returned; `page` is 1-based, `marks` are offsets into `text`."""

    id: str
    path: str
    url: str
    text: str
    page: int | None
    section: str
    score: float | None = None
    marks: tuple[Mark, ...] = ()


class ChatCitations:
    """Shows results in the chat from which the request at hand came, if it came from one of this `openwebui`."""

    def __init__(self, openwebui: OpenWebUI | None, asking: Asking) -> None:
        self._openwebui = openwebui
        self._asking = asking
        # Two calls for one message, at once, would number their sources alike.
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def cite(self, results: Sequence[Result], asked: str = "") -> list[str]:
        """Show the results in the chat, and return for each what cites it there, such as "[1]"; nothing elsewhere.

        `asked` is the question, whose language the names of the citations have; without one, that of the results.
        A chat that cannot be reached gets none: the results are worth more than their numbers.
        """
        message = self._message()
        if self._openwebui is None or message is None or not results:
            return []
        turn = self._turns.setdefault((message.chat, message.id), asyncio.Lock())
        try:
            async with asyncio.timeout(DEADLINE_S), turn:
                shown = await self._openwebui.sources(message)
                for result in results:
                    if (identifier := source_id(result)) not in shown:
                        await self._openwebui.show(message, source_of(result, asked))
                        shown.append(identifier)
        except (PinciteError, TimeoutError) as error:
            log.warning("the chat that called does not show what was found: %s", type(error).__name__)
            return []
        return [f"[{shown.index(source_id(result)) + 1}]" for result in results]

    def _message(self) -> Message | None:
        chat, message = self._asking.header(CHAT_HEADER), self._asking.header(MESSAGE_HEADER)
        return Message.named(chat, message, self._asking.credential) if chat and message else None


def source_id(result: Result) -> str:
    """Return the id under which a chat knows a result: one for each, so that each has a number of its own."""
    return f"pincite:{result.id}"


def source_of(result: Result, asked: str = "") -> dict[str, Any]:
    """Return a result as the data of Open WebUI's `source` event; `page` is 0-based there.

    `embed_url` is what a click on the citation opens beside the chat.
    """
    name, identifier = _name(result, chinese=bool(CHINESE.search(asked or result.text))), source_id(result)
    metadata: dict[str, Any] = {"source": identifier, "name": name, "html": True}
    if result.page is not None:
        metadata["page"] = result.page - 1
    data = {
        "source": {"id": identifier, "name": name, "url": result.url, "embed_url": result.url},
        "document": [_marked(result)],
        "metadata": [metadata],
    }
    return data if result.score is None else data | {"distances": [round(result.score, 4)]}


def _name(result: Result, *, chinese: bool) -> str:
    """Return what the citation reads, such as "handbook.pdf, p. 12"; a format without pages has its section."""
    # With an address in it, Open WebUI would show only its host, and ask a third party for an icon.
    name = ADDRESS.sub("", result.path.rstrip("/")).rsplit("/", 1)[-1]
    if result.page is not None:
        return f"{name}，第 {result.page} 页" if chinese else f"{name}, p. {result.page}"
    section = ADDRESS.sub("", result.section.rsplit(" › ", 1)[-1])
    return f"{name}{'，' if chinese else ', '}{section}" if section else name


def _marked(result: Result) -> str:
    """Return the text as HTML of our own making: escaped, its marks as `<mark>`, the best sentence in view."""
    pieces, end = [], 0
    for mark in sorted(result.marks, key=lambda mark: (mark.start, mark.end)):
        if mark.end <= end:
            continue
        start = max(mark.start, end)
        pieces.append(html.escape(result.text[end:start]))
        pieces.append(f"<mark>{html.escape(result.text[start : mark.end])}</mark>")
        end = mark.end
    pieces.append(html.escape(result.text[end:]))
    best = next((mark for mark in result.marks if mark.kind == "sentence" and mark.start > IN_VIEW), None)
    lead = f"<mark>{html.escape(result.text[best.start : best.end].strip())}</mark><hr>" if best else ""
    return f'<div style="{STYLE}">{lead}{"".join(pieces).replace("</mark><mark>", "")}</div>'
