"""What a caller gives and what is sent: a text, or the parts of one that is too long, each with its length."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from embedding_backend.embedder import BackendFailure
from embedding_backend.hosted.token_counting import TokenCounter, clean
from embedding_backend.splitting import split

# Characters that are counted without leaving the event loop; they take about a millisecond.
_QUICK_CHARACTERS = 10_000
# What an instruction must leave to the question.
_SMALLEST_ROOM = 16
_BYTES_A_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Text:
    """A text to embed, with what its model wants in front of it and behind it."""

    text: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One input of a request.

    `tokens` is the length of what is sent, None where it was not counted because it fits for certain; `size` is the
    same or an estimate; `name` says in errors which text of the caller's it is, without quoting it.
    """

    text: Text
    tokens: int | None
    size: int
    name: str

    @property
    def sent(self) -> str:
        """What the server reads."""
        return f"{self.text.before}{self.text.text}{self.text.after}"


@dataclass(frozen=True, slots=True)
class Parts:
    """The pieces of one text and how many of its tokens each holds; no piece for a text without a visible character."""

    pieces: tuple[Piece, ...]
    weights: tuple[int, ...]


class Cutter:
    """Makes pieces that the model reads whole; `limit` says how many tokens that is, special tokens not counted."""

    def __init__(self, counter: TokenCounter, limit: Callable[[], int]) -> None:
        self._counter = counter
        self._limit = limit

    async def pieces(self, texts: Sequence[Text]) -> list[Parts]:
        """Return the pieces of each text; raises BackendFailure where tokens cannot be counted."""
        texts = [Text(clean(text.text), text.before, text.after) for text in texts]
        if self._counter.is_local and sum(len(text.text) for text in texts) <= _QUICK_CHARACTERS:
            return self._pieces(texts)
        if not self._counter.is_local and all(self._fits_for_certain(text) for text in texts):
            return self._pieces(texts)
        return await asyncio.to_thread(self._pieces, texts)

    def _pieces(self, texts: Sequence[Text]) -> list[Parts]:
        lengths = iter(self._lengths(texts))
        return [
            self._parts(text, next(lengths), f"input {number} of {len(texts)} ({len(text.text):,} characters)")
            for number, text in enumerate(texts, start=1)
        ]

    def _lengths(self, texts: Sequence[Text]) -> Iterator[int | None]:
        """Yield the tokens of each text as it is sent, None where it is empty or asking the server can be spared."""
        wanted = [
            bool(text.text.strip()) and (self._counter.is_local or not self._fits_for_certain(text)) for text in texts
        ]
        counted = iter(
            self._counter.count([f"{t.before}{t.text}{t.after}" for t, want in zip(texts, wanted, strict=True) if want])
        )
        for want in wanted:
            yield next(counted) if want else None

    def _fits_for_certain(self, text: Text) -> bool:
        # A token stands for a byte at the least; what normalisation lengthens is left to the server's refusal.
        return len(f"{text.before}{text.text}{text.after}".encode()) <= self._limit()

    def _parts(self, text: Text, tokens: int | None, name: str) -> Parts:
        if not text.text.strip():
            return Parts((), ())
        if tokens is None:
            size = len(text.text.encode()) // _BYTES_A_TOKEN + 1
            return Parts((Piece(text, None, size, name),), (1,))
        if tokens <= self._limit():
            return Parts((Piece(text, tokens, tokens, name),), (1,))
        (around,) = self._counter.count([text.before + text.after])
        # Two tokens for what may join or part where the question begins and ends.
        room = self._limit() - around - (2 if around else 0)
        if room < _SMALLEST_ROOM:
            raise BackendFailure(
                f"the instruction takes {around:,} of the {self._limit():,} tokens that the model reads; shorten it"
            )
        texts = [Text(part, text.before, text.after) for part in split(text.text, room, self._counter.count)]
        weights = self._counter.count([part.text for part in texts])
        sizes = self._counter.count([f"{p.before}{p.text}{p.after}" for p in texts]) if around else weights
        kept = [
            (Piece(part, size, size, name), weight)
            for part, size, weight in zip(texts, sizes, weights, strict=True)
            if weight
        ]
        return Parts(tuple(piece for piece, _ in kept), tuple(weight for _, weight in kept))
