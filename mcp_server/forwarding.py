"""Managing documents over stdio: by the server that runs on the same data folder, which alone writes it."""

from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult

from mcp_server.managing import Ctx
from pincite.data_lock import running_server
from pincite.errors import BackendError

# Beyond what the server follows a job for.
TIMEOUT_S = 120.0


class ByTheServer:
    """Calls the same tools of the server on the data folder, as the owner of this machine."""

    def __init__(self, data: Path) -> None:
        self._data = data

    async def add(
        self, ctx: Ctx, knowledge_base: str, url: str | None, name: str | None, text: str | None
    ) -> CallToolResult:
        """Add a source, and follow its job for a while."""
        given = {"url": url, "name": name, "text": text}
        sent = {argument: value for argument, value in given.items() if value is not None}
        return await self._call(ctx, "add_document", {"knowledge_base": knowledge_base} | sent)

    async def status(self, ctx: Ctx, job: str) -> CallToolResult:
        """Tell how a job stands."""
        return await self._call(ctx, "job_status", {"job": job})

    async def remove(self, ctx: Ctx, document: str) -> CallToolResult:
        """Remove a document."""
        return await self._call(ctx, "remove_document", {"document": document})

    async def _call(self, ctx: Ctx, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        server = running_server(self._data)
        if server is None:
            raise BackendError("No server runs on this data folder; start one with `pincite serve`, then call again.")
        headers = {"Authorization": f"Bearer {server.token}"}
        try:
            async with (
                httpx2.AsyncClient(headers=headers, timeout=TIMEOUT_S, trust_env=False) as http,
                Client(streamable_http_client(f"{server.url}/mcp", http_client=http)) as client,
            ):
                return await client.call_tool(tool, arguments, progress_callback=ctx.report_progress)
        except (httpx2.HTTPError, MCPError, ExceptionGroup):
            raise BackendError("The server on this data folder does not answer; see its log.") from None
