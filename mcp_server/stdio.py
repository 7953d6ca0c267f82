"""The MCP server over standard input and output, for a client on this machine, which reads as the local owner."""

from mcp_server.server import build_server
from pincite.access import Principal
from pincite.workspace import Workspace


async def run_stdio(workspace: Workspace) -> None:
    """Serve until the client closes standard input; nothing else may write to standard output meanwhile."""
    owner = Principal.system()
    await build_server(workspace, lambda _: owner).run_stdio_async()
