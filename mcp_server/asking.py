"""Who asks: found from the request that is being answered, by whatever answers it."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from pincite.access import Principal

PrincipalOf = Callable[[ServerRequestContext[Any, Any]], Principal]


class Asking:
    """A middleware that keeps the request at hand; `who` is the one who sent it."""

    def __init__(self, principal_of: PrincipalOf) -> None:
        self._principal_of = principal_of
        self._request: ContextVar[ServerRequestContext[Any, Any]] = ContextVar("request")

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        token = self._request.set(ctx)
        try:
            return await call_next(ctx)
        finally:
            self._request.reset(token)

    def header(self, name: str) -> str:
        """Return a header of the HTTP request at hand; "" if it has none, or did not come over HTTP."""
        request = self._request.get().request
        return str(request.headers.get(name, "")) if request is not None else ""

    @property
    def credential(self) -> str:
        """The key or token that came with the request at hand; it must go nowhere but back to who issued it."""
        return self.header("Authorization").partition(" ")[2].strip()

    @property
    def who(self) -> Principal:
        """The principal as whom the request at hand reads and writes."""
        return self._principal_of(self._request.get())
