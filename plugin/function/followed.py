"""An answer that a model of Open WebUI writes, followed as it comes: made harmless, cited, and checked at its end."""

from dataclasses import dataclass, field
from typing import Any

from plugin.function.asking import Pincite, PinciteFailure
from plugin.function.checking import findings
from plugin.function.citing import Citing, source_of
from plugin.function.evidence import Asker, Found
from plugin.function.harmless import harmless
from plugin.function.quoting import quotes, why_quoted
from plugin.function.thinking import said

# Where servers put what a model thinks; Open WebUI shows each of them.
THOUGHTS = ("reasoning_content", "reasoning", "thinking")


@dataclass
class Followed:
    """The answer to one message, written from what was found; `written` are the model's own words so far."""

    asker: Asker
    found: Found
    written: str = ""
    _citing: Citing = field(init=False)
    _thoughts: dict[str, Citing] = field(init=False)
    _listed: int = 0

    def __post_init__(self) -> None:
        self._citing = Citing(len(self.found.passages), defuse=True)
        self._thoughts = {place: Citing(0, defuse=True) for place in THOUGHTS}

    def shown(self, delta: dict[str, Any], *, ended: bool) -> dict[str, Any]:
        """Return a piece of the answer as it can be shown; what was held back comes with the next one, or the last."""
        shown, words = dict(delta), str(delta.get("content") or "")
        for place, thoughts in self._thoughts.items():
            thought = thoughts.feed(str(delta[place])) if delta.get(place) else ""
            thought += thoughts.rest() if words or ended else ""
            if thought or place in delta:
                shown[place] = thought
        self.written += words
        words = self._citing.feed(words) + (self._citing.rest() if ended else "")
        if words or "content" in delta:
            shown["content"] = words
        return shown

    def new_sources(self) -> list[dict[str, Any]]:
        """Return the sources of the passages that were cited since this was asked last."""
        new = self._citing.given[self._listed :]
        self._listed += len(new)
        return [source_of(self.found.passages[given - 1], self.asker.language) for given in new]

    async def finish(self, message: dict[str, Any], pincite: Pincite, timeout_s: float) -> None:
        """Complete the message of the chat that the answer has become, and tell what the check found.

        A model that does not stream was not followed, so its words are in the message alone. One that wrote nothing
        leaves the passages quoted.
        """
        if self.written:
            _append(message, self._citing.rest())
        else:
            self._rewrite(message)
        if not said(self.written).strip():
            why = why_quoted(self.asker.language, "model empty", answerable=self.found.answerable)
            _append(message, "".join([f"{why}\n\n", *quotes(self.found.passages, self._citing)]))
        elif wrong := await self._checked(pincite, timeout_s):
            _append(message, f"\n\n{wrong}")
        for source in self.new_sources():
            if "sources" in message:  # of the message, as it was before
                message["sources"].append(source)
            if self.asker.emit is not None:
                await self.asker.emit({"type": "source", "data": source})

    async def _checked(self, pincite: Pincite, timeout_s: float) -> str:
        await self.asker.status(self.asker.say("checking"))
        try:
            wrong = await findings(pincite, self.asker, self.written, self.found.passages, self._citing, timeout_s)
        except PinciteFailure:
            await self.asker.status(self.asker.say("unchecked"), done=True)
            return ""
        told = "look below" if wrong else "all supported"
        await self.asker.status(self.asker.say(told, found=self.asker.counted(self.found.passages)), done=True)
        return wrong

    def _rewrite(self, message: dict[str, Any]) -> None:
        """Make words that came at once what can be shown, and those of the model's thoughts harmless."""
        for part in _parts(message, "reasoning"):
            part["text"] = harmless(part["text"])
        parts = _parts(message, "message")
        for part in parts:
            part["text"] = self._whole(part["text"])
        message["content"] = (
            "\n".join(part["text"] for part in parts) if parts else self._whole(str(message.get("content") or ""))
        )

    def _whole(self, text: str) -> str:
        self.written += text
        return self._citing.feed(text) + self._citing.rest()


def _parts(message: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the parts with a `text` of what a message holds of this kind: "message" is the answer."""
    items = [item for item in message.get("output") or [] if item.get("type") == kind]
    return [part for item in items for part in item.get("content") or [] if isinstance(part.get("text"), str)]


def _append(message: dict[str, Any], more: str) -> None:
    """Put words behind those of a message, which stand in its output, and in its content too."""
    if parts := _parts(message, "message"):
        parts[-1]["text"] += more
    elif message.get("output") and more:
        part = {"type": "output_text", "text": more}
        item = {"type": "message", "id": f"{message['id']}-pincite", "status": "completed", "role": "assistant"}
        message["output"].append(item | {"content": [part]})
    message["content"] = str(message.get("content") or "") + more
