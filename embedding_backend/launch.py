"""Starts vLLM as a process, waits until it answers, and says why if it does not come up."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import httpx

from embedding_backend.embedder import BackendFailure

_KEPT_LINES = 400
_LONGEST_LINE = 1 << 20
_PROBE_INTERVAL_S = 0.5
_STOP_S = 10
_INSTALL = "install it on this machine (pip install vllm, version 0.14 or newer), or run its container image"

# What vLLM's log says as it comes up, in order, and what that means to a person.
_STAGES = (
    ("Resolved architecture", "reading the model's configuration"),
    ("Starting to load model", "loading the weights"),
    ("Loading weights took", "the weights are loaded"),
    ("torch.compile", "compiling"),
    ("Capturing CUDA graph", "capturing CUDA graphs"),
    ("Application startup complete", "answering"),
)

# The first that matches explains; {port} and {model} are filled in. Each is a wording of vLLM's, torch's or the hub's.
_EXPLANATIONS = (
    (
        r"address already in use",
        "port {port} is taken; stop the program that uses it, or give another with --port",
    ),
    (
        r"out of ?memory|No available memory for the cache blocks|Free memory on device|"
        r"larger than the available KV cache memory|larger than the maximum number of tokens that can be stored|"
        r"not enough (?:free )?memory|cannot allocate memory",
        "there is not enough memory: give a smaller --context or --model, or stop what else uses the card; "
        "`pincite backend plan` shows the arithmetic",
    ),
    (
        r"LocalEntryNotFound|outgoing traffic has been disabled|couldn't connect to|offline mode|"
        r"Max retries exceeded|Failed to resolve|Name or service not known|ConnectError",
        "{model} is not on this machine and the model hub cannot be reached: fetch it where the hub can be reached, "
        "and give its folder with --model",
    ),
    (
        r"RepositoryNotFound|Repository Not Found|not a valid model identifier|Repo id must|404 Client Error|"
        r"Can't load the configuration",
        "there is no model {model}: check the name, or give the model's folder with --model",
    ),
    (r"GatedRepo|401 Client Error", "{model} may only be fetched with an account of the model hub: set HF_TOKEN"),
    (
        r"Failed to infer device type|No CUDA GPUs are available|no NVIDIA driver|driver version is insufficient",
        "vLLM sees no graphics card: check the driver (nvidia-smi), and that the container was given the cards",
    ),
    (
        r"Bfloat16 is only supported|compute capability",
        "the card is too old for this precision; `pincite backend plan` without --gpu-memory looks at the card itself",
    ),
    (r"Unrecognized model|not supported for now|no supported", "vLLM does not know how to run {model}"),
    (r"unrecognized arguments|invalid choice", "this vLLM does not know one of the options; 0.14 or newer is needed"),
)
_ERROR_LINE = re.compile(r"(?:Error|Exception)\b[^:]*: (.+)")


class LaunchFailure(BackendFailure):
    """vLLM did not come up, or ended by itself; the message says why. `log` holds its last lines."""

    def __init__(self, message: str, log: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.log = tuple(log)


class RunningBackend:
    """A vLLM that answers at `url`."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, lines: deque[str]) -> None:
        self._process = process
        self._lines = lines
        self.url = url

    @property
    def pid(self) -> int:
        """The process, which leads a group of its own."""
        return self._process.pid

    async def ended(self) -> LaunchFailure:
        """Wait until vLLM ends by itself, and return why."""
        await self._process.wait()
        return LaunchFailure(
            f"vLLM ended with status {self._process.returncode}: {_last_error(self._lines)}", self._lines
        )


@asynccontextmanager
async def launch(
    command: Sequence[str],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    environment: Mapping[str, str] | None = None,
    deadline_s: float = 1800,
    report: Callable[[str], None] = lambda stage: None,
) -> AsyncIterator[RunningBackend]:
    """Run `vllm serve MODEL …` for the time of the block, which begins when it answers.

    `report` gets a few words at each stage. The deadline leaves time to fetch the weights. Whatever happens, no process
    of it is left behind.

    Raises:
        LaunchFailure: it is not installed, its port is taken, or it did not come up; the message says why.
    """
    environment = dict(environment if environment is not None else os.environ)
    program = shutil.which(command[0], path=environment.get("PATH"))
    if program is None:
        raise LaunchFailure(f"{command[0]} is not installed: {_INSTALL}.")
    refuse_taken_port(host, port)
    # A pipe of our own: asyncio takes a process with one of its own for running while a worker of it still holds that.
    reader, writer = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *command[1:],
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
            # A group of its own: its workers are ended with it, and a Ctrl-C in the terminal reaches only us.
            start_new_session=True,
        )
    finally:
        os.close(writer)
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    reading = asyncio.create_task(_read(reader, lines, report))
    url = url_of(host, port)
    try:
        report("starting")
        await _come_up(process, url, deadline_s, lines, reading, model=_model_of(command), port=port)
        yield RunningBackend(process, url, lines)
    finally:
        await _stop(process, reading)


def explain(log: Sequence[str], model: str = "the model", port: int = 8000) -> str:
    """Return in one sentence why vLLM did not come up, from the lines it logged."""
    text = "\n".join(log)
    for pattern, explanation in _EXPLANATIONS:
        if re.search(pattern, text, re.IGNORECASE):
            return explanation.format(model=model, port=port)
    return _last_error(log)


async def _come_up(
    process: asyncio.subprocess.Process,
    url: str,
    deadline_s: float,
    lines: deque[str],
    reading: "asyncio.Task[None]",
    *,
    model: str,
    port: int,
) -> None:
    """Return when the server answers."""
    ending = asyncio.create_task(process.wait())
    answering = asyncio.create_task(_answers(url))
    try:
        await asyncio.wait({ending, answering}, timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            await asyncio.wait({reading}, timeout=_STOP_S)
            reason = explain(lines, model, port)
            raise LaunchFailure(f"vLLM did not come up (status {process.returncode}): {reason}.", lines)
        if not answering.done():
            raise LaunchFailure(f"vLLM did not answer within {deadline_s:g} s: {_last_error(lines)}", lines)
    finally:
        ending.cancel()
        answering.cancel()


async def _answers(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(f"{url}/health")).is_success:
                    return
            await asyncio.sleep(_PROBE_INTERVAL_S)


async def _read(pipe: int, lines: deque[str], report: Callable[[str], None]) -> None:
    """Keep the last lines that the process logs, and report the stages among them."""
    stream = asyncio.StreamReader(limit=_LONGEST_LINE)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(pipe, "rb"))
    reported = ""
    try:
        while True:
            try:
                raw = await stream.readline()
            except ValueError:  # a line beyond the limit; what was read of it is gone
                continue
            if not raw:
                return
            line = raw.decode("utf-8", "replace").rstrip()
            lines.append(line)
            stage = next((meaning for part, meaning in _STAGES if part in line), "")
            if stage and stage != reported:
                reported = stage
                report(stage)
    finally:
        transport.close()


async def _stop(process: asyncio.subprocess.Process, reading: "asyncio.Task[None]") -> None:
    """End the whole group, politely first. Once nobody can log any more, its port and its memory are free again."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        ending = asyncio.create_task(process.wait())
        await asyncio.wait({ending, reading}, timeout=_STOP_S, return_when=asyncio.ALL_COMPLETED)
        if ending.done() and reading.done():
            return
        ending.cancel()
    reading.cancel()


def url_of(host: str, port: int) -> str:
    """Return where this machine reaches a server that is bound to an address."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def refuse_taken_port(host: str, port: int) -> None:
    """Raise LaunchFailure where an address cannot be bound, before anything slow is begun."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise LaunchFailure(
                f"Port {port} on {host} cannot be bound ({error.strerror}); stop the program that uses it, "
                "or give another with --port."
            ) from None


def _model_of(command: Sequence[str]) -> str:
    return command[2] if len(command) > 2 and command[1] == "serve" else "the model"


def _last_error(log: Sequence[str]) -> str:
    for line in reversed(log):
        found = _ERROR_LINE.search(line)
        if found:
            return found[1]
    return log[-1] if log else "it said nothing"
