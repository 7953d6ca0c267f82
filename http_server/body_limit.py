"""A cap on request bodies, so that an answer never costs more memory than a question may."""

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from http_server.problems import RequestTooLarge, problem

MAX_BODY_BYTES = 1024 * 1024


class BodyLimit:
    """Refuses bodies of more than `max_bytes` with 413, by their declared length or else as they arrive.

    Multipart bodies pass: the one route that reads them streams them to disk under limits of its own, and every other
    refuses them unread.
    """

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_multipart(scope):
            await self._app(scope, receive, send)
            return
        error = RequestTooLarge(f"The body has more than the {self._max_bytes:,} bytes this address reads.")
        declared = Request(scope).headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._max_bytes:
            await problem(error)(scope, receive, send)
            return
        received, exceeded, started = 0, False, False

        async def receive_within_limit() -> Message:
            nonlocal received, exceeded
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                exceeded = True
                return {"type": "http.disconnect"}
            return message

        async def send_unless_exceeded(message: Message) -> None:
            nonlocal started
            if started or not exceeded:
                started = True
                await send(message)

        try:
            await self._app(scope, receive_within_limit, send_unless_exceeded)
        except Exception:
            if not exceeded:
                raise
        if exceeded and not started:
            await problem(error)(scope, receive, send)


def _is_multipart(scope: Scope) -> bool:
    return Request(scope).headers.get("content-type", "").startswith("multipart/")
