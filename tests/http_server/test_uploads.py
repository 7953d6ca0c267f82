"""Uploads are streamed to disk within limits, and nothing is left behind when they fail."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from http_server.problems import problem
from http_server.uploads import UploadLimits, receive_files
from pincite.errors import Overloaded, PinciteError

pytestmark = pytest.mark.anyio

LIMITS = UploadLimits(max_files=3, max_file_bytes=1000)
Files = list[tuple[str, tuple[str, bytes]]]


def client(folder: Path, refuse: bool = False) -> httpx.AsyncClient:
    async def receive(request: Request) -> JSONResponse:
        try:
            async with receive_files(request, folder, LIMITS) as files:
                if refuse:
                    raise Overloaded("Too many jobs are waiting.")
                return JSONResponse([[file.name, file.path.read_bytes().decode("latin-1")] for file in files])
        except PinciteError as error:
            return problem(error)

    app = Starlette(routes=[Route("/", receive, methods=["POST"])])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


def files(*contents: tuple[str, bytes]) -> Files:
    return [("files", content) for content in contents]


async def test_files_arrive_whole_and_keep_their_names(tmp_path: Path) -> None:
    binary = bytes(range(256)) + b"\r\n--boundary\r\n"
    async with client(tmp_path) as http:
        answer = await http.post("/", files=files(("合同.pdf", binary), ("a b.txt", b"hello")))
    assert answer.json() == [["合同.pdf", binary.decode("latin-1")], ["a b.txt", "hello"]]


async def test_a_name_never_decides_where_a_file_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "incoming"
    folder.mkdir()
    async with client(folder) as http:
        await http.post("/", files=files(("../../escape.txt", b"x"), ("/etc/passwd", b"x")))
    assert [path.parent for path in tmp_path.rglob("*") if path.is_file()] == [folder, folder]


async def test_a_file_beyond_the_limit_is_kept_just_far_enough_to_be_recognised(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        answer = await http.post("/", files=files(("big.txt", b"x" * 5000), ("small.txt", b"ok")))
    assert [(name, len(content)) for name, content in answer.json()] == [("big.txt", 1001), ("small.txt", 2)]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{}", "application/json"),
        (b"", "multipart/form-data"),
        (b"--b--\r\n", "multipart/form-data; boundary=b"),
        (b"no multipart at all", "multipart/form-data; boundary=b"),
        (b"x", "multipart/form-data; boundary=" + "b" * 500),
        (
            b'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\ncut sh',
            "multipart/form-data; boundary=b",
        ),
    ],
)
async def test_what_is_no_upload_is_refused_and_leaves_nothing(tmp_path: Path, body: bytes, content_type: str) -> None:
    async with client(tmp_path) as http:
        answer = await http.post("/", content=body, headers={"content-type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert list(tmp_path.iterdir()) == []


async def test_too_many_files_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        answer = await http.post("/", files=files(*[(f"{i}.txt", b"x") for i in range(4)]))
    assert answer.status_code == 422
    assert "3 files" in answer.json()["detail"]
    assert list(tmp_path.iterdir()) == []


async def test_files_that_nobody_takes_over_are_deleted(tmp_path: Path) -> None:
    async with client(tmp_path, refuse=True) as http:
        answer = await http.post("/", files=files(("a.txt", b"x")))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
    assert list(tmp_path.iterdir()) == []


async def test_an_upload_in_small_pieces_arrives_whole(tmp_path: Path) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nhello\r\n--b--\r\n'

    async def pieces() -> AsyncIterator[bytes]:
        for byte in body:
            yield bytes([byte])

    async with client(tmp_path) as http:
        answer = await http.post("/", content=pieces(), headers={"content-type": "multipart/form-data; boundary=b"})
    assert answer.json() == [["a.txt", "hello"]]
