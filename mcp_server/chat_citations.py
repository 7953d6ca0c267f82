"""Results as citations in the chat of Open WebUI that called the tool, which it does not show by itself.

It numbers the sources of a message in the order in which they arrive, and turns a `[1]` in the answer into a chip that
opens the first. So each result is sent as a source before the model reads it, and the model is told its number.
"""

import asyncio
import logging
from collections.abc import Sequence
from weakref import WeakValueDictionary

from mcp_server.asking import Asking
from pincite.answers.wording import language_of
from pincite.chat_source import Shown, source_data
from pincite.errors import PinciteError
from pincite.openwebui import Message, OpenWebUI

# The custom headers that the connection in Open WebUI is set up with, and what it sends by itself where that is on.
CHAT_HEADER, MESSAGE_HEADER = "X-OpenWebUI-Chat-Id", "X-OpenWebUI-Message-Id"
# What a busy Open WebUI may take for the sources of one call; one that is gone has refused the session before.
DEADLINE_S = 20.0

log = logging.getLogger(__name__)


class ChatCitations:
    """Shows results in the chat from which the request at hand came, if it came from one of this `openwebui`."""

    def __init__(self, openwebui: OpenWebUI | None, asking: Asking) -> None:
        self._openwebui = openwebui
        self._asking = asking
        # Two calls for one message, at once, would number their sources alike.
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def cite(self, results: Sequence[Shown], asked: str = "") -> list[str]:
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
                    if result.source_id not in shown:
                        data = source_data(result, language_of(asked or result.text))
                        await self._openwebui.show(message, data)
                        shown.append(result.source_id)
        except (PinciteError, TimeoutError) as error:
            log.warning("the chat that called does not show what was found: %s", type(error).__name__)
            return []
        return [f"[{shown.index(result.source_id) + 1}]" for result in results]

    def _message(self) -> Message | None:
        chat, message = self._asking.header(CHAT_HEADER), self._asking.header(MESSAGE_HEADER)
        return Message.named(chat, message, self._asking.credential) if chat and message else None
