"""The headers that keep a browser from doing more with an answer than it should."""

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COMMON: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
DEFAULT: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cache-Control": "no-store",
}


def page_policy(nonce: str, frame_ancestors: str) -> str:
    """Return the Content-Security-Policy of a viewer page.

    Only its own inline script and style run; `style` attributes hold the positions of words, which are numbers;
    pictures come from this server. `frame_ancestors` are the sources that may frame the page; "*" leaves the directive
    out, because a browser takes it to mean network addresses only, and desktop chat clients have others.
    """
    directives = [
        "default-src 'none'",
        "img-src 'self' data:",
        f"script-src 'nonce-{nonce}'",
        f"style-src 'nonce-{nonce}'",
        "style-src-attr 'unsafe-inline'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    if frame_ancestors != "*":
        directives.append(f"frame-ancestors {frame_ancestors}")
    return "; ".join(directives)


class SecurityHeaders:
    """Adds the common headers to every answer, and the strict defaults where the answer says nothing of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in COMMON.items():
                    headers[name] = value
                for name, value in DEFAULT.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
