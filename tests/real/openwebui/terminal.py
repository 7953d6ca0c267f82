"""A terminal, as a person has it: they type a command, read what it shows, and answer what they are asked."""

import asyncio
import os
import re
import signal
import subprocess
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

PATIENCE_S = 300
ROWS, COLUMNS = 40, 120
STYLING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """One command that runs in a terminal of its own; `shown` is all that it has shown."""

    def __init__(self, process: "subprocess.Popen[bytes]", screen: int) -> None:
        self.process = process
        self._screen = screen
        self._news = asyncio.Condition()
        self._bytes = b""
        self._ended = False
        self._reading = asyncio.create_task(self._read())

    @property
    def shown(self) -> str:
        return STYLING.sub("", self._bytes.decode("utf-8", "replace")).replace("\r\n", "\n")

    async def shows(self, text: str) -> None:
        """Wait until a text is shown; a command that ends before fails the test."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: text in self.shown or self._ended)
        assert text in self.shown, f"{text!r} is not in what was shown:\n{self.shown}"

    def types(self, text: str) -> None:
        """Type a line."""
        os.write(self._screen, f"{text}\n".encode())

    async def ends(self) -> int:
        """Wait for the end of the command and return its exit status."""
        async with asyncio.timeout(PATIENCE_S):
            await self._reading
            return await asyncio.to_thread(self.process.wait)

    async def _read(self) -> None:
        while not self._ended:
            try:
                read = await asyncio.to_thread(os.read, self._screen, 4096)
            except OSError:  # how Linux tells that nobody writes any more
                read = b""
            async with self._news:
                self._bytes += read
                self._ended = not read
                self._news.notify_all()


@asynccontextmanager
async def terminal(line: str, folder: Path, variables: Mapping[str, str]) -> AsyncIterator[Terminal]:
    """Type a command line into a new terminal; at the end of the block Ctrl-C stops what still runs."""
    screen, keyboard = os.openpty()
    termios.tcsetwinsize(screen, (ROWS, COLUMNS))
    process = subprocess.Popen(
        ["sh", "-c", line],
        cwd=folder,
        env=variables,
        stdin=keyboard,
        stdout=keyboard,
        stderr=keyboard,
        start_new_session=True,
    )
    os.close(keyboard)
    opened = Terminal(process, screen)
    try:
        yield opened
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        try:
            await opened.ends()
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await opened.ends()
            raise
        finally:
            os.close(screen)
