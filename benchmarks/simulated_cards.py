"""What cards that are not at hand would do: arithmetic, and our client with servers that take as long as a card would.

A card takes for a step the longer of two times: its operations at the rate of its matrix units, and the reading of all
weights at the speed of its memory (the roofline of Williams et al. 2009, doi 10.1145/1498765.1498785). Real programs
take longer; none takes less. Nothing here was measured on a card.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from benchmarks.report import machine
from embedding_backend import PassageText
from embedding_backend.hosted import HostedConfig, HostedModel
from embedding_backend.model_shape import ModelShape, model_shape
from tests.embedding_backend.embedding_server import EmbeddingServer, ServerProcess, tokens_of

_WEIGHT_BYTES = 2  # bfloat16
_STEP_TOKENS = 8192
_LENGTHS = (20, 128, 512, 2048, 8192, 32_768)
_BATCHES = (1, 4, 16, 64)
_CALLERS = 32
_QUESTION_TOKENS = 128
_PASSAGE_TOKENS = 400
_QUESTIONS = 640
_PASSAGES = 640


@dataclass(frozen=True)
class SimulatedCard:
    """A card's dense bfloat16 operations a second, and bytes a second of its memory, as its maker says."""

    name: str
    operations_a_second: float
    bytes_a_second: float

    def seconds(self, model: ModelShape, lengths: Sequence[int]) -> float:
        """Return how long the card takes at the least to read texts of so many tokens together."""
        # Each token attends to all before it: two products of heads x head_dim, for half of the pairs.
        attention = 2 * model.layers * model.heads * model.head_dim * sum(length**2 for length in lengths)
        operations = sum(lengths) * model.flop_per_token + attention
        steps = -(-sum(lengths) // _STEP_TOKENS)
        reading = steps * model.linear_parameters * _WEIGHT_BYTES / self.bytes_a_second
        return max(operations / self.operations_a_second, reading)


RTX_3060 = SimulatedCard("RTX 3060", 25.6e12, 360e9)
# The operations as measured by others; the maker promises 989.
H200 = SimulatedCard("H200", 790e12, 4.8e12)
MODEL = "4B"


async def measure() -> str:
    """Return the page."""
    one, two = [await _through_the_client(count) for count in (1, 2)]
    return "\n".join(
        [
            "# Cards that are not at hand: arithmetic and simulation",
            "",
            "**Nothing on this page was measured on a card.** Written by `scripts/bench cards`, which computes what "
            "Qwen3-Embedding-4B in bfloat16 takes at the least: the longer of its operations at the card's matrix rate "
            "and the reading of its weights at the card's memory speed. A real server reaches a third to two thirds.",
            "",
            *_curves(RTX_3060),
            *_curves(H200),
            *_long_input(),
            "## One card and two, through the client",
            "",
            f"The real client on {machine()}, over HTTP, with servers that sleep as long as an {RTX_3060.name} with 4B "
            "takes at the least: what the client loses between the card and those who ask.",
            "",
            "| | limit of a card | one card | two cards |",
            "|---|---|---|---|",
            *(
                f"| {name} | {limit:.1f}/s | {one[name]:.1f}/s ({one[name] / limit:.0%}) | "
                f"{two[name]:.1f}/s ({two[name] / limit / 2:.0%} of both) |"
                for name, limit in _limits().items()
            ),
            "",
        ]
    )


def _curves(card: SimulatedCard) -> list[str]:
    model = model_shape(MODEL)

    def cell(length: int, batch: int) -> str:
        seconds = card.seconds(model, [length] * batch)
        share = batch * length * model.flop_per_token / seconds / card.operations_a_second
        return f"{batch * length / seconds:,.0f} ({share:.0%})"

    lengths = _LENGTHS[:4]
    return [
        f"## {card.name}: tokens a second at the most",
        "",
        "By texts at once (rows) and their length; in brackets what the layers' products get of "
        f"{card.operations_a_second / 1e12:g} TFLOP/s. A single short question waits for the weights to be read; "
        "attention takes its share of long texts.",
        "",
        "| texts at once |" + "".join(f" {length:,} tokens |" for length in lengths),
        "|---|" + "---|" * len(lengths),
        *(f"| {batch} |" + "".join(f" {cell(length, batch)} |" for length in lengths) for batch in _BATCHES),
        "",
    ]


def _long_input() -> list[str]:
    model, longest = model_shape(MODEL), _LENGTHS[-1]
    whole, parts = RTX_3060.seconds(model, [longest]), RTX_3060.seconds(model, [512] * (longest // 512))
    attention = 1 - longest * model.flop_per_token / RTX_3060.operations_a_second / whole
    return [
        "## One text, by its length: seconds at the least",
        "",
        "| |" + "".join(f" {length:,} tokens |" for length in _LENGTHS),
        "|---|" + "---|" * len(_LENGTHS),
        *(
            f"| {card.name} |" + "".join(f" {card.seconds(model, [length]):.3f} |" for length in _LENGTHS)
            for card in (RTX_3060, H200)
        ),
        "",
        f"Of a text of {longest:,} tokens attention is {attention:.0%}: it takes {whole / parts:.1f} times as long as "
        "the same tokens in passages of 512.",
        "",
    ]


def _limits() -> dict[str, float]:
    model = model_shape(MODEL)
    rates = {}
    for name, tokens in (("questions", _QUESTION_TOKENS), ("passages", _PASSAGE_TOKENS)):
        texts = _STEP_TOKENS // tokens
        rates[_row(name)] = texts / RTX_3060.seconds(model, [tokens] * texts)
    return rates


def _row(name: str) -> str:
    if name == "questions":
        return f"{_CALLERS} callers, one question of {_QUESTION_TOKENS} tokens each"
    return f"a collection of passages of {_PASSAGE_TOKENS} tokens"


async def _through_the_client(cards: int) -> dict[str, float]:
    with ExitStack() as stack:
        addresses = tuple(stack.enter_context(_card_process()) for _ in range(cards))
        # Bare questions, so that they have the length that is computed with.
        config = HostedConfig(endpoints=addresses, cached_queries=0, query_template="{query}", query_budget_s=120)
        model = await HostedModel.connect(config)
        numbers = itertools.count()

        def text(tokens: int) -> str:
            # The end token is one of them.
            return " ".join(["word"] * (tokens - 2) + [str(next(numbers))])

        async def asked() -> None:
            left = iter(range(_QUESTIONS))

            async def caller() -> None:
                for _ in left:
                    await model.embed_queries([text(_QUESTION_TOKENS)])

            await asyncio.gather(*(caller() for _ in range(_CALLERS)))

        async def embedded() -> None:
            texts = [text(_PASSAGE_TOKENS) for _ in range(_PASSAGES)]
            await model.embed_passages([PassageText(each, ((0, len(each)),)) for each in texts])

        rates = {}
        for name, do, count in (("questions", asked, _QUESTIONS), ("passages", embedded, _PASSAGES)):
            began = time.monotonic()
            await do()
            rates[_row(name)] = count / (time.monotonic() - began)
            print(f"  {cards} cards, {name}: {rates[_row(name)]:.1f}/s", file=sys.stderr, flush=True)
        await model.close()
    return rates


class _CardServer(EmbeddingServer):
    """The tests' server, which reads one step after the other and takes a card's time for each."""

    def __init__(self) -> None:
        super().__init__(max_tokens=32_768)
        self._card = asyncio.Lock()
        self._waiting: list[tuple[int, asyncio.Event]] = []

    async def _acted(self, body: Any) -> Response | None:
        mine = [(len(tokens_of(text)) + 1, asyncio.Event()) for text in body["input"]]
        self._waiting += mine
        for _, read in mine:
            async with self._card:
                if not read.is_set():
                    await self._step()
        return None

    async def _step(self) -> None:
        """Read what waits, as much as goes in a step."""
        taken = 0
        lengths: list[int] = []
        while taken < len(self._waiting) and (not lengths or sum(lengths) + self._waiting[taken][0] <= _STEP_TOKENS):
            lengths.append(self._waiting[taken][0])
            taken += 1
        texts, self._waiting = self._waiting[:taken], self._waiting[taken:]
        await asyncio.sleep(RTX_3060.seconds(model_shape(MODEL), lengths))
        for _, read in texts:
            read.set()


@contextmanager
def _card_process() -> Iterator[str]:
    process = ServerProcess("benchmarks.simulated_cards")
    try:
        yield process.address
    finally:
        process.kill()


if __name__ == "__main__":
    from tests.embedding_backend.embedding_server import serve

    asyncio.run(serve(_CardServer(), int(sys.argv[1])))
