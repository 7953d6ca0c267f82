"""The whole server, with the tools, resources and prompts that the conformance suite calls added to its own.

The suite sends no key, so one is put on requests that have none; transport, hosts, origins and keys are the real ones.
"""

import asyncio
import base64
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import pymupdf
from mcp import MCPError
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CallToolResult,
    ClientCapabilities,
    EmbeddedResource,
    ImageContent,
    MissingRequiredClientCapabilityErrorData,
    SamplingCapability,
    TextContent,
    TextResourceContents,
)
from pydantic import Field
from starlette.types import ASGIApp, Receive, Scope, Send

from http_server.app import create_app
from mcp_server.server import build_server, holder_of_the_credential, over_http
from mcp_server.toolbox import READS, Toolbox
from pincite.access import Principal
from pincite.keyring import issue_key
from pincite.settings import load_settings
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder
from tests.serving import listening, served

PIXEL = base64.b64encode(pymupdf.Pixmap(pymupdf.csRGB, pymupdf.IRect(0, 0, 1, 1)).tobytes("png")).decode()
SILENCE = base64.b64encode(
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\0\0\0\0"
).decode()
NOTE = "# Cranes\n\nThe crane of hall seven lifts at most forty-two tonnes.\n"


class WithKey:
    """Puts a key on requests that have none."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app = app
        self.key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not any(name == b"authorization" for name, _ in scope["headers"]):
            headers = [*scope["headers"], (b"authorization", f"Bearer {self.key}".encode())]
            scope = {**scope, "headers": headers}
        await self.app(scope, receive, send)


def add_fixtures(server: Toolbox) -> None:
    """Add what the suite's README asks for and a knowledge base has no use for."""
    text = TextContent(type="text", text="This is a simple text response for testing.")
    image = ImageContent(type="image", data=PIXEL, mime_type="image/png")
    audio = AudioContent(type="audio", data=SILENCE, mime_type="audio/wav")

    def embedded(uri: str, said: str) -> EmbeddedResource:
        return EmbeddedResource(
            type="resource", resource=TextResourceContents(uri=uri, mime_type="text/plain", text=said)
        )

    def result(*content: Any) -> CallToolResult:
        return CallToolResult(content=list(content))

    @server.tool(annotations=READS)
    def test_simple_text() -> CallToolResult:
        """Answer with text."""
        return result(text)

    @server.tool(annotations=READS)
    def test_image_content() -> CallToolResult:
        """Answer with a picture."""
        return result(image)

    @server.tool(annotations=READS)
    def test_audio_content() -> CallToolResult:
        """Answer with sound."""
        return result(audio)

    @server.tool(annotations=READS)
    def test_embedded_resource() -> CallToolResult:
        """Answer with a resource."""
        return result(embedded("test://embedded-resource", "This is an embedded resource content."))

    @server.tool(annotations=READS)
    def test_multiple_content_types() -> CallToolResult:
        """Answer with all of them."""
        return result(text, image, embedded("test://mixed-content-resource", '{"test":"data","value":123}'))

    @server.tool(annotations=READS)
    def test_error_handling() -> CallToolResult:
        """Fail."""
        raise ToolError("This tool intentionally returns an error for testing")

    @server.tool(annotations=READS)
    async def test_tool_with_progress(ctx: Context[Any, Any]) -> CallToolResult:
        """Report progress."""
        for step in (0, 50, 100):
            await ctx.report_progress(step, 100, f"Completed step {step} of 100")
        return result(text)

    @server.tool(annotations=READS)
    def test_missing_capability() -> CallToolResult:
        """Need what the client did not declare."""
        needed = MissingRequiredClientCapabilityErrorData(
            required_capabilities=ClientCapabilities(sampling=SamplingCapability())
        )
        data = needed.model_dump(by_alias=True, mode="json", exclude_none=True)
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "This needs sampling.", data)

    @server.tool(annotations=READS)
    def test_header_parameter(
        region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})],
    ) -> CallToolResult:
        """Take an argument that a header repeats."""
        return result(TextContent(type="text", text=region))

    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        return base64.b64decode(PIXEL)

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:  # noqa: A002
        return f'{{"id":"{id}","templateTest":true,"data":"Data for ID: {id}"}}'

    @server.prompt()
    def test_simple_prompt() -> str:
        """Say something."""
        return "This is a simple prompt for testing."

    @server.prompt()
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """Say what was given."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt()
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803
        """Say something with a resource."""
        return [
            UserMessage(content=embedded(resourceUri, "Embedded resource content for testing.")),
            UserMessage(content="Please process the embedded resource above."),
        ]

    @server.prompt()
    def test_prompt_with_image() -> list[UserMessage]:
        """Say something with a picture."""
        return [UserMessage(content=image), UserMessage(content="Please analyze the image above.")]


async def main() -> None:
    """Serve until standard input closes; the first line printed is the address."""
    with tempfile.TemporaryDirectory() as folder, listening() as listener:
        settings = load_settings(data=Path(folder) / "data", port=listener.getsockname()[1], parser_workers=1)
        (Path(folder) / "cranes.md").write_text(NOTE)
        async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
            owner = Principal.system()
            added = await workspace.add(owner, "cranes", [str(Path(folder) / "cranes.md")], create=True)
            async for _ in workspace.job_events(owner, added.id):
                pass
            _, key = issue_key(workspace._opened.catalog, "the suite", {"read", "write"}, None)
            server = build_server(workspace, holder_of_the_credential)
            add_fixtures(server)
            app = WithKey(create_app(workspace, over_http(server, workspace)), key)
            async with served(app, listener) as address:
                sys.stdout.write(f"{address}/mcp\n")
                sys.stdout.flush()
                await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
