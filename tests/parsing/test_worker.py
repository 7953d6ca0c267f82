"""A document that crashes, hangs or bloats its parser costs that worker only, and is named as the cause."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pymupdf
import pytest

from pincite.document import Document
from pincite.errors import (
    CorruptDocument,
    DocumentError,
    DocumentTooLarge,
    EmptyDocument,
    InvalidRequest,
    Overloaded,
    ParseLimitExceeded,
    UnknownPage,
)
from pincite.parsing.worker import MIB, ParseLimits, ParserPool

MISBEHAVING = (sys.executable, "-P", str(Path(__file__).parent / "misbehaving_worker.py"))
Result = TypeVar("Result")


def run(limits: ParseLimits, what: Callable[[ParserPool], Coroutine[Any, Any, Result]], workers: int = 1) -> Result:
    async def body() -> Result:
        pool = ParserPool(workers, limits, command=MISBEHAVING)
        try:
            return await what(pool)
        finally:
            await pool.close()

    return asyncio.run(body())


def process_of(document: Document) -> int:
    return int(document.title.rpartition(" ")[2])


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("harm", "limits", "error", "message"),
    [
        ("crash", ParseLimits(), CorruptDocument, r"evil\.pdf: the parser crashed on it \(exit 3\)"),
        ("hang", ParseLimits(timeout_s=3), ParseLimitExceeded, r"evil\.pdf: parsing took longer than 3 s"),
        ("spin", ParseLimits(cpu_s=0.5), ParseLimitExceeded, r"evil\.pdf: parsing took too much CPU time"),
        ("hoard", ParseLimits(memory_bytes=700 * MIB), ParseLimitExceeded, r"evil\.pdf: parsing needs more memory"),
        ("bulk", ParseLimits(max_output_bytes=100), ParseLimitExceeded, r"evil\.pdf: what the document unpacks to"),
        ("fail", ParseLimits(), CorruptDocument, r"evil\.pdf: the parser failed on it \(LookupError\)"),
    ],
)
def test_harm_is_the_documents_error_and_the_pool_goes_on(
    harm: str, limits: ParseLimits, error: type[DocumentError], message: str
) -> None:
    async def harm_then_work(pool: ParserPool) -> Document:
        with pytest.raises(error, match=message) as caught:
            await pool.parse(harm.encode(), "folder/evil.pdf")
        assert "words" not in caught.value.message
        if limits.max_output_bytes < 1000:  # no document fits
            return Document("", "", "ok")
        return await pool.parse(b"work", "good.txt")

    assert run(limits, harm_then_work).text == "ok"


def test_cancelling_kills_the_worker() -> None:
    async def cancel(pool: ParserPool) -> tuple[int, Document]:
        first = process_of(await pool.parse(b"work", "a.txt"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.parse(b"hang", "b.txt"), timeout=0.2)
        return first, await pool.parse(b"work", "c.txt")

    first, after = run(ParseLimits(), cancel)
    assert not is_running(first)
    assert process_of(after) != first


def test_a_worker_is_used_again_and_replaced_after_its_share_of_documents() -> None:
    async def four(pool: ParserPool) -> list[int]:
        return [process_of(await pool.parse(b"work", "a.txt")) for _ in range(4)]

    first, second, third, fourth = run(ParseLimits(documents_per_worker=2), four)
    assert first == second
    assert third == fourth != first


def test_a_worker_that_grew_is_replaced() -> None:
    async def two(pool: ParserPool) -> set[int]:
        return {process_of(await pool.parse(b"work", "a.txt")) for _ in range(2)}

    assert len(run(ParseLimits(recycle_bytes=1), two)) == 2


def test_an_idle_worker_goes_away() -> None:
    async def rest(pool: ParserPool) -> int:
        process = process_of(await pool.parse(b"work", "a.txt"))
        async with asyncio.timeout(20):
            while is_running(process):
                await asyncio.sleep(0)
        return process_of(await pool.parse(b"work", "b.txt")) - process

    assert run(ParseLimits(idle_s=0.01), rest) != 0


def test_no_more_workers_than_allowed_run_at_once() -> None:
    async def many(pool: ParserPool) -> set[int]:
        return {process_of(d) for d in await asyncio.gather(*(pool.parse(b"work", f"{i}.txt") for i in range(8)))}

    assert 1 <= len(run(ParseLimits(), many, workers=2)) <= 2


def test_what_a_library_prints_does_not_break_the_protocol(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(ParseLimits(), lambda pool: pool.parse(b"chatter", "a.txt")).text == "ok"
    assert capfd.readouterr() == ("", "")


def test_a_worker_sees_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINCITE_ADMIN_KEY", "secret")
    assert run(ParseLimits(), lambda pool: pool.parse(b"secrets", "b.txt")).text == ""


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_bytes(b"x" * 101)

    async def large(pool: ParserPool) -> None:
        for data in (path, path.read_bytes()):
            with pytest.raises(DocumentTooLarge, match=r"large\.txt: 101 bytes are over the limit of 100"):
                await pool.parse(data, "large.txt")

    run(ParseLimits(max_bytes=100), large)


def test_a_worker_that_does_not_start_is_the_servers_fault_not_the_documents() -> None:
    async def start() -> None:
        pool = ParserPool(1, command=(sys.executable, "-c", "raise SystemExit(1)"))
        with pytest.raises(Overloaded, match="could not be started"):
            await pool.parse(b"work", "a.txt")
        await pool.close()

    asyncio.run(start())


def test_a_pool_needs_a_worker_and_a_closed_one_refuses() -> None:
    with pytest.raises(InvalidRequest, match="at least one worker"):
        ParserPool(0)

    async def closed() -> None:
        pool = ParserPool(1)
        await pool.close()
        with pytest.raises(Overloaded, match="shutting down"):
            await pool.parse(b"# Title", "a.md")

    asyncio.run(closed())


def test_real_documents_come_back_and_pages_are_rendered(tmp_path: Path) -> None:
    pdf = pymupdf.open()
    pdf.new_page(width=200, height=100).insert_text((20, 50), "Notice period: 30 days")
    path = tmp_path / "contract.pdf"
    path.write_bytes(pdf.tobytes())

    async def work() -> None:
        pool = ParserPool(1)
        try:
            markdown = await pool.parse("# 合同\n\n第一条 付款".encode(), "a.md")
            assert (markdown.title, markdown.text) == ("合同", "# 合同\n\n第一条 付款")
            document = await pool.parse(path, "contract.pdf")
            assert "30 days" in document.text
            assert document.pages[0].words.boxes.shape[1] == 4
            picture = await pool.render_page(path, 1, 2.0)
            assert picture.startswith(b"\x89PNG")
            with pytest.raises(UnknownPage):
                await pool.render_page(path, 2, 1.0)
            with pytest.raises(EmptyDocument, match=r"void\.md"):
                await pool.parse(b"", "void.md")
        finally:
            await pool.close()

    asyncio.run(work())


NETWORK = ("connect", "datagram")
WRITING = ("write", "append", "truncate", "remove", "folder", "permissions")
READING = ("read", "list", "read the parent")
PROGRAMS = ("local socket", "program", "become a program", "fork", "signal")


@pytest.mark.parametrize(
    ("held_to", "attempts"),
    [("network", NETWORK), ("writing", WRITING), ("reading", READING), ("programs", PROGRAMS)],
)
def test_a_worker_that_a_document_took_over_gets_nowhere(held_to: str, attempts: tuple[str, ...]) -> None:
    async def attempt(pool: ParserPool) -> dict[str, str]:
        if not (await pool.confined())[held_to]:
            pytest.skip(f"this kernel does not hold a process to it: {held_to}")
        return {what: (await pool.parse(what.encode(), "a.txt")).text for what in attempts}

    outcomes = run(ParseLimits(), attempt)
    assert set(outcomes.values()) <= {"refused: EPERM", "refused: EACCES", "refused: ENETUNREACH"}


def test_what_is_no_regular_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")

    async def pipe(pool: ParserPool) -> None:
        with pytest.raises(CorruptDocument, match=r"pipe\.txt: this is no regular file"):
            await pool.parse(tmp_path / "pipe.txt", "pipe.txt")
        assert (await pool.parse(b"work", "a.txt")).text == "ok"

    run(ParseLimits(), pipe)
