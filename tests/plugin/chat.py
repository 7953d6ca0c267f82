"""What Open WebUI does with a function file: load it from its text, call it, and lend it a model."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "plugin"
ALICE = {"id": "u-alice", "email": "alice@example.com", "name": "Alice", "role": "user"}


def load(file: str) -> Any:
    """Return the module made from a function file's text."""
    module = ModuleType(f"function_{file.removesuffix('.py')}")
    exec(compile((FOLDER / file).read_text("utf-8"), file, "exec"), module.__dict__)
    return module


class Refusal(Exception):
    """What Open WebUI raises when a person may not use a model."""

    status_code = 403


@dataclass
class Models:
    """Stands in for Open WebUI's models: each answers what the test says, in words; not where `silent_to` says so."""

    answers: dict[str, Callable[[list[dict[str, Any]]], str]] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    as_whom: list[str] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
    break_after: int | None = None
    silent_after: int | None = None
    silent_to: Callable[[list[dict[str, Any]]], bool] = lambda _: False

    async def complete(self, request: Any, form: dict[str, Any], user: Any) -> Any:
        self.asked.append(form)
        self.as_whom.append(user.id)
        if form["model"] not in self.answers:
            raise Refusal("Model not found")
        if self.silent_to(form["messages"]):
            await asyncio.Event().wait()
        text = self.answers[form["model"]](form["messages"])
        if not form["stream"]:
            return {"choices": [{"message": {"content": text}}]}
        return SimpleNamespace(body_iterator=self._stream(text))

    async def _stream(self, text: str) -> AsyncIterator[bytes]:
        for number, piece in enumerate(text[i : i + 3] for i in range(0, len(text), 3)):
            if number == self.silent_after:
                await asyncio.Event().wait()
            if number == self.break_after:
                yield b'data: {"error": {"message": "out of memory"}}\n\n'
                return
            line = f"data: {json.dumps({'choices': [{'delta': {'content': piece}}]})}\n\n".encode()
            yield line[:20]  # cut in the middle, as a network does
            yield line[20:]
        yield b"data: [DONE]\n\n"

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let function files import what they import inside Open WebUI."""

        async def groups(identifier: str) -> Any:
            return [SimpleNamespace(name=name) for name in self.groups.get(identifier, [])]

        parts: dict[str, dict[str, Any]] = {
            "open_webui": {},
            "open_webui.models": {},
            "open_webui.utils": {},
            "open_webui.models.users": {"UserModel": SimpleNamespace},
            "open_webui.models.groups": {"Groups": SimpleNamespace(get_groups_by_member_id=groups)},
            "open_webui.utils.chat": {"generate_chat_completion": self.complete},
        }
        for name, attributes in parts.items():
            module = ModuleType(name)
            module.__dict__.update(attributes)
            monkeypatch.setitem(sys.modules, name, module)


@dataclass
class Shown:
    """What a person saw of one answer; `text_before` is, of each source, the text there was when it came."""

    text: str = ""
    sources: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    text_before: list[str] = field(default_factory=list)


def conversation(*messages: str) -> list[dict[str, Any]]:
    """Return messages that are the person's and the model's in turn."""
    return [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(messages)]


async def ask(
    pipe: Any,
    *messages: str,
    model: str = "pincite.everything",
    user: dict[str, Any] = ALICE,
    files: list[dict[str, Any]] | None = None,
) -> Shown:
    """Ask in a streaming chat, to which `files` are attached."""
    shown = Shown()

    async def emit(event: dict[str, Any]) -> None:
        assert event["type"] == "status"
        shown.statuses.append(event["data"])

    body = {"model": model, "stream": True, "messages": conversation(*messages)}
    async for piece in await pipe.pipe(body, dict(user), None, emit, __files__=files):
        if isinstance(piece, str):
            shown.text += piece
        else:
            assert piece["event"]["type"] == "source"
            shown.sources.append(piece["event"]["data"])
            shown.text_before.append(shown.text)
    return shown
