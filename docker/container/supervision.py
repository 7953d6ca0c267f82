"""Runs the parts of the house as processes: started again when they die, and stopped with whatever they started."""

import asyncio
import os
import signal
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Never

import httpx

STOP_S = 8.0  # `docker stop` kills after ten
DEATHS = 3
WITHIN_S = 600.0
BETWEEN_LOOKS_S = 0.5
LOOK_S = 5.0


@dataclass(frozen=True, slots=True)
class Part:
    """A program of the house; it is ready once `ready_url` answers with 200."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready_url: str


class PartFailed(Exception):
    """A part keeps dying; the message says which, and how it ended."""


async def supervise(part: Part, say: Callable[[str], None]) -> Never:
    """Run a part until cancelled, and start it again when it ends by itself.

    Raises:
        PartFailed: it ended for the third time in ten minutes, so that something else is wrong.
    """
    deaths: deque[float] = deque(maxlen=DEATHS)
    while True:
        status = await finished(part.command, part.environment)
        deaths.append(time.monotonic())
        if len(deaths) == DEATHS and deaths[-1] - deaths[0] < WITHIN_S:
            raise PartFailed(f"{part.name} ended with status {status}, for the third time in ten minutes.")
        say(f"{part.name} ended with status {status}; it is started again.")


async def ready(part: Part) -> None:
    """Wait until a part answers; it is the supervisor who gives up."""
    async with httpx.AsyncClient(timeout=LOOK_S, trust_env=False) as http:
        while True:
            with suppress(httpx.HTTPError):
                if (await http.get(part.ready_url)).status_code == httpx.codes.OK:
                    return
            await asyncio.sleep(BETWEEN_LOOKS_S)


async def finished(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program to its end, and return its exit status."""
    async with process(command, environment) as running:
        return await running.wait()


@asynccontextmanager
async def process(command: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program for the time of the block; what it prints goes to the container's log.

    It leads a group of processes, which is told to end with the block and killed if it has not after eight seconds.
    """
    running = await asyncio.create_subprocess_exec(
        *command, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
    )
    try:
        yield running
    finally:
        _signal_group(running, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await running.wait()
        _signal_group(running, signal.SIGKILL)
        await running.wait()


def _signal_group(running: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(running.pid, number)
