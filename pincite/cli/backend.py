"""`pincite backend plan` and `up`: which embedding model fits this machine, and serving it."""

import asyncio
import json
import os
import re
import shlex
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from pincite.cli.terminal import visible

if TYPE_CHECKING:
    from embedding_backend.cards import Card
    from embedding_backend.launch import RunningBackend
    from embedding_backend.planning import Plan

KEY_VARIABLE = "PINCITE_BACKEND_KEY"
DEFAULT_PORT = 8000
FAILED = 1

app = typer.Typer(help="Plan and run the embedding backend.", rich_markup_mode=None)

GpuMemory = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="Memory of one card, such as 12GiB, instead of looking at this machine."),
]
Gpus = Annotated[int | None, typer.Option(min=0, help="How many such cards; 0 plans for the processor.")]
Model = Annotated[
    str | None, typer.Option(help="0.6B, 4B, 8B, a name such as Qwen/Qwen3-Embedding-4B, or a model's folder.")
]
Context = Annotated[int | None, typer.Option(min=1, help="Tokens of the longest input.")]
Host = Annotated[str, typer.Option(help="The address to bind.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="The port to bind.")]


@app.command("plan")
def plan(
    gpu_memory: GpuMemory = None,
    gpus: Gpus = None,
    model: Model = None,
    context: Context = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as one JSON object.")] = False,
) -> int:
    """Say which model, precision and context fit, why, and the command that serves them; nothing is started."""
    from embedding_backend.embedder import BackendFailure

    try:
        cards = _cards(gpu_memory, gpus)
        made = _plan(cards, model, context)
    except BackendFailure as failure:
        return _fail(str(failure))
    if made is None:
        if as_json:
            typer.echo(json.dumps({"model": "pincite-embedded-1", "command": "pincite backend up"}))
        else:
            typer.echo(
                "There is no NVIDIA card here: the embedded model serves, on the processor, with nothing to download.\n"
                "Nothing needs to be set. `pincite backend up` offers it to other programs as well."
            )
        return 0
    if as_json:
        typer.echo(json.dumps(made.shape(), ensure_ascii=False))
    else:
        _show(made, cards)
    return 0


@app.command("up")
def up(
    gpu_memory: GpuMemory = None,
    gpus: Gpus = None,
    model: Model = None,
    context: Context = None,
    host: Host = "127.0.0.1",
    port: Port = DEFAULT_PORT,
    api_key: Annotated[
        str | None,
        typer.Option(envvar=KEY_VARIABLE, show_envvar=True, help="The key that requests must carry; none if unset."),
    ] = None,
) -> int:
    """Serve the planned model with vLLM until stopped; without a card, the embedded model, with the same API."""
    from embedding_backend.embedder import BackendFailure

    try:
        made = _plan(_cards(gpu_memory, gpus), model, context)
        if made is not None:
            command = made.command(host, port)
        elif model is not None:
            # A processor needs no plan: vLLM's own defaults hold, if it is built for one.
            command = ["vllm", "serve", model, "--runner", "pooling", "--host", host, "--port", str(port)]
            command += ["--max-model-len", str(context)] if context else []
        else:
            return asyncio.run(_serve_embedded(host, port, api_key))
        return asyncio.run(_serve_vllm(command, host, port, api_key))
    except BackendFailure as failure:
        return _fail(str(failure))


def _cards(gpu_memory: str | None, gpus: int | None) -> list["Card"]:
    from embedding_backend.cards import Card, find_cards

    if gpus == 0:
        return []
    if gpu_memory is not None:
        size = _bytes(gpu_memory)
        return [Card(f"a card of {gpu_memory}", size)] * (gpus or 1)
    found = find_cards()
    if gpus is not None and gpus > len(found):
        raise typer.BadParameter(
            f"this machine has {len(found)}; give --gpu-memory too to plan for others", param_hint="--gpus"
        )
    return found[:gpus]


def _bytes(size: str) -> int:
    """Return the bytes of a card's size. A card sold as 12 GB has 12 GiB, so both mean the same here."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(g|gb|gib|m|mb|mib)?", size.strip(), re.IGNORECASE)
    if match is None or not float(match[1]):
        raise typer.BadParameter(f"{size} is not a size such as 12GiB", param_hint="--gpu-memory")
    unit = 1 << 20 if (match[2] or "g").lower().startswith("m") else 1 << 30
    return int(float(match[1]) * unit)


def _plan(cards: Sequence["Card"], model: str | None, context: int | None) -> "Plan | None":
    """Return the plan, or None for a machine without a card.

    Raises:
        BackendFailure: nothing fits, or the model is not known.
    """
    from embedding_backend.model_shape import model_shape
    from embedding_backend.planning import plan as plan_for

    if not cards:
        return None
    return plan_for(cards, model_shape(model) if model is not None else None, context)


def _show(made: "Plan", cards: Sequence["Card"]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    memory, gib = made.memory, 1 << 30
    table = Table(box=box.SIMPLE_HEAD, title=f"Memory of {'each ' if len(cards) > 1 else ''}card", title_justify="left")
    for column, side in (("", "left"), ("GiB", "right"), ("", "left")):
        table.add_column(column, justify=side)  # type: ignore[arg-type]
    weights = f"{made.model.linear_parameters / 1e9:.2f} billion in {made.precision.name}"
    tokens = f"{made.model.embedding_parameters / 1e9:.2f} billion of the token table"
    split = f", split over {made.tensor_parallel}" if made.tensor_parallel > 1 else ""
    per_token = memory.kv_bytes_per_token // 1024
    rows = (
        ("weights", memory.weights, f"{weights}, {tokens}{split}"),
        ("activations", memory.activations, "the largest layer of a full batch"),
        ("runtime", memory.runtime, "CUDA context, workspaces, graphs: an allowance"),
        ("KV cache", memory.kv_cache, f"the rest: {memory.kv_tokens:,} tokens of {per_token} KiB"),
        ("kept free", memory.kept_free, f"vLLM's share is {made.utilisation:.0%}"),
        ("the card", memory.total, ""),
    )
    for name, size, note in rows:
        table.add_row(name, f"{size / gib:.2f}", note)
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=120)
    console.print(table)
    for reason in made.reasons:
        console.print(f"- {visible(reason)}", markup=False)
    typer.echo(f"\n{shlex.join(made.command())}")


async def _serve_vllm(command: Sequence[str], host: str, port: int, api_key: str | None) -> int:
    from embedding_backend.launch import launch

    environment = dict(os.environ)
    if api_key:
        environment["VLLM_API_KEY"] = api_key  # in the environment, since every user of a machine sees command lines
    typer.echo(shlex.join(command), err=True)
    stopped = _stop_signal()
    # The launch ends with the block, so whether it fails, ends or is told to stop, nothing of it is left.
    running = asyncio.create_task(_hold(launch(command, host=host, port=port, environment=environment, report=_status)))
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        _status("stopping", last=True)
        running.cancel()
    stopping.cancel()
    try:
        await running
    except asyncio.CancelledError:
        return 0
    return FAILED


async def _hold(launched: "AbstractAsyncContextManager[RunningBackend]") -> None:
    """Run the backend until cancelled.

    Raises:
        LaunchFailure: it did not come up, or ended by itself.
    """
    async with launched as backend:
        _status(f"serves {backend.url}/v1", last=True)
        raise await backend.ended()


async def _serve_embedded(host: str, port: int, api_key: str | None) -> int:
    import uvicorn

    from embedding_backend import EmbeddedModel
    from embedding_backend.coalesced import Coalesced
    from embedding_backend.launch import refuse_taken_port, url_of
    from embedding_backend.openai_api import create_app

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                _status(f"serves {url_of(host, port)}/v1", last=True)

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # ours are set already; uvicorn's own would end the process with their status

    refuse_taken_port(host, port)
    _status("there is no card here: loading the embedded model")
    app = create_app(Coalesced(EmbeddedModel()), api_key)
    server = Server(
        uvicorn.Config(app, host, port, log_config=None, access_log=False, server_header=False, proxy_headers=False)
    )
    stopped = _stop_signal()
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    server.should_exit = True
    await serving
    return 0 if server.started else FAILED


def _stop_signal() -> asyncio.Event:
    """Return what is set when the process is told to end."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    return stopped


def _status(words: str, *, last: bool = False) -> None:
    """Say how far it is: on one line of a terminal, on a line each elsewhere."""
    if sys.stderr.isatty():
        typer.echo(f"\r\x1b[K{words}", nl=last, err=True)
    else:
        typer.echo(words, err=True)


def _fail(message: str) -> int:
    typer.echo(f"pincite: {visible(message)}", err=True)
    return FAILED
