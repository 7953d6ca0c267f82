"""The kit for registries and clients: what is published says what is here, and what clients would spawn starts."""

import importlib.util
import json
import os
import re
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from mcp_server.chat_citations import CHAT_HEADER, MESSAGE_HEADER
from mcp_server.server import build_server
from pincite import __version__
from pincite.workspace import Workspace
from plugin.installer import Wanted, tool_server
from tests.fakes import FakeEmbedder
from tests.mcp_server.conftest import OWNER, Library

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+")
PAGES = ("docs/mcp.md", "docs/mcp.zh.md")


def published() -> dict[str, Any]:
    shown: dict[str, Any] = json.loads((ROOT / "server.json").read_text("utf-8"))
    return shown


def test_the_registry_entry_keeps_the_registrys_rules() -> None:
    entry = published()
    [package] = entry["packages"]
    [remote] = entry["remotes"]
    assert entry["$schema"].endswith("/2025-12-11/server.schema.json")
    assert NAME.fullmatch(entry["name"])
    assert 1 <= len(entry["description"]) <= 100
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {entry["version"], package["version"], project["version"]} == {__version__}
    assert package["identifier"] == project["name"]
    assert package["transport"]["type"] == "stdio"
    assert set(re.findall(r"{(\w+)}", remote["url"])) == remote["variables"].keys()
    assert all(header["isSecret"] for header in remote["headers"])


def test_the_readme_proves_whose_the_registry_entry_is() -> None:
    name = published()["name"]
    assert f"<!-- mcp-name: {name} -->" in (ROOT / "README.md").read_text("utf-8")
    # Where it is not published yet, its namespace is one that is nobody's (RFC 2606), and the docs say so.
    assert not name.startswith("com.example/") or all(f"`{name}`" in (ROOT / page).read_text("utf-8") for page in PAGES)


@pytest.fixture(scope="module")
def write_bundle() -> Callable[[Path], None]:
    spec = importlib.util.spec_from_file_location("mcp_bundle", ROOT / "scripts" / "steps" / "mcp_bundle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    write: Callable[[Path], None] = module.write_bundle
    return write


def test_the_bundle_is_the_same_whenever_it_is_made(write_bundle: Callable[[Path], None], tmp_path: Path) -> None:
    for name in ("one.mcpb", "two.mcpb"):
        write_bundle(tmp_path / name)
    assert (tmp_path / "one.mcpb").read_bytes() == (tmp_path / "two.mcpb").read_bytes()
    assert set(zipfile.ZipFile(tmp_path / "one.mcpb").namelist()) == {"manifest.json", "launch.py", "LICENSE"}


@pytest.mark.anyio
async def test_the_bundle_names_the_tools_that_a_local_agent_gets(library: Library) -> None:
    manifest = json.loads((ROOT / "mcp_server" / "bundle" / "manifest.json").read_text("utf-8"))
    async with (
        Workspace(library.workspace.settings, embedder=FakeEmbedder(), read_only=True) as reading,
        Client(build_server(reading, lambda _: OWNER)) as client,
    ):
        tools = [tool.name for tool in (await client.list_tools()).tools]
    assert [tool["name"] for tool in manifest["tools"]] == tools
    assert manifest["version"] == __version__


@pytest.mark.anyio
async def test_the_bundles_command_starts_a_server_on_the_folder_that_was_chosen(
    library: Library, write_bundle: Callable[[Path], None], tmp_path: Path
) -> None:
    """What Claude Desktop does: unpack, put in what the user chose, spawn."""
    write_bundle(tmp_path / "pincite.mcpb")
    with zipfile.ZipFile(tmp_path / "pincite.mcpb") as bundle:
        bundle.extractall(tmp_path / "unpacked")
    config = json.loads((tmp_path / "unpacked" / "manifest.json").read_text("utf-8"))["server"]["mcp_config"]
    chosen = {
        "${__dirname}": str(tmp_path / "unpacked"),
        "${user_config.program}": str(program(tmp_path)),
        "${user_config.data}": str(library.workspace.settings.data),
    }

    def filled(text: str) -> str:
        for name, value in chosen.items():
            text = text.replace(name, value)
        return text

    names = await knowledge_bases(
        filled(config["command"]),
        [filled(argument) for argument in config["args"]],
        {name: filled(value) for name, value in config["env"].items()},
    )
    assert names == ["contracts", "manuals"]


@pytest.mark.anyio
@pytest.mark.parametrize("page", PAGES)
async def test_the_stdio_configurations_of_the_docs_start_a_server(library: Library, tmp_path: Path, page: str) -> None:
    servers = configured(page)
    local = [server for server in servers if "command" in server]
    assert len(local) >= 2  # Claude Desktop's and Cursor's form, VS Code's form
    for server in local:
        assert server["command"] == "/path/to/pincite/.venv/bin/pincite"
        env = server["env"] | {"PINCITE_DATA": str(library.workspace.settings.data)}
        assert await knowledge_bases(str(program(tmp_path)), server["args"], env) == ["contracts", "manuals"]


@pytest.mark.parametrize("page", PAGES)
def test_the_http_configurations_of_the_docs_name_the_endpoint_and_a_key(page: str) -> None:
    remote = [server for server in configured(page) if "url" in server]
    assert remote
    for server in remote:
        assert server["url"] == "http://127.0.0.1:7861/mcp"
        assert server["headers"]["Authorization"].startswith("Bearer ")


@pytest.mark.parametrize("page", PAGES)
def test_the_entry_for_open_webui_in_the_docs_is_the_one_that_is_installed(page: str) -> None:
    blocks = [json.loads(block) for block in snippets(page, "json")]
    [entry] = [block for block in blocks if block.get("type") == "mcp"]
    assert entry == tool_server(Wanted("http://127.0.0.1:7861", "a key", sessions=True))
    assert entry["headers"].keys() == {CHAT_HEADER, MESSAGE_HEADER}


def test_without_sessions_open_webui_gets_a_key_and_only_administrators_the_tools() -> None:
    entry = tool_server(Wanted("http://127.0.0.1:7861/", "a key"))
    assert (entry["auth_type"], entry["key"], entry["config"]["access_grants"]) == ("bearer", "a key", [])


def test_both_languages_show_the_same_snippets() -> None:
    for language in ("json", "sh", "python"):
        english, chinese = (snippets(page, language) for page in PAGES)
        assert english == chinese


def snippets(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def configured(page: str) -> list[dict[str, Any]]:
    """Return the entry of each configuration of a client that has a file for it."""
    blocks = [json.loads(block) for block in snippets(page, "json")]
    lists = [block.get("mcpServers") or block.get("servers") for block in blocks]
    return [servers["pincite"] for servers in lists if servers]


def program(folder: Path) -> Path:
    """Return a program as `scripts/run` leaves it in .venv/bin, for the Python and checkout of the tests."""
    path = folder / "pincite"
    path.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m pincite.cli "$@"\n')
    path.chmod(0o755)
    return path


async def knowledge_bases(command: str, arguments: list[str], environment: dict[str, str]) -> list[str]:
    spawned = StdioServerParameters(command=command, args=arguments, env=os.environ | environment)
    async with Client(stdio_client(spawned)) as client:
        listed = await client.call_tool("list_knowledge_bases", {})
    assert listed.structured_content is not None
    return sorted(kb["name"] for kb in listed.structured_content["knowledge_bases"])
