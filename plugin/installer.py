"""Installs the functions, their models and the MCP server in an Open WebUI, by its REST interface, and takes them back.

Run twice it changes nothing. What it made is known by its name: the functions' ids, model ids that begin with the
pipe's, and the tool server's id; nothing else in that Open WebUI is touched.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugin.bundle import FUNCTIONS, VERSION
from plugin.function.offering import PIPE_ID, offer, own_models
from plugin.openwebui_api import OpenWebUIApi

FILES = "pincite_files"
TOOL_SERVER = "pincite"
CHAT_HEADERS = {"X-OpenWebUI-Chat-Id": "{{CHAT_ID}}", "X-OpenWebUI-Message-Id": "{{MESSAGE_ID}}"}
EVERYONE = {"principal_type": "user", "principal_id": "*", "permission": "read"}
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Wanted:
    """What the functions are to know: the server as Open WebUI reaches it, its keys, the model that writes.

    `files_key` has the admin scope; without it files are not mirrored. With `sessions` that server knows people by
    their session in this Open WebUI, so everyone may have its tools.
    """

    pincite_url: str
    pincite_key: str
    files_key: str = ""
    answering_model: str | None = None
    sessions: bool = False


def function_id(file: str) -> str:
    """Return the id of a function file in Open WebUI; the pipe's begins the ids of its models."""
    stem = file.removesuffix(".py")
    return PIPE_ID if stem == "pincite_pipe" else stem


class Installer:
    """Installs in one Open WebUI."""

    def __init__(self, openwebui: OpenWebUIApi) -> None:
        self._ask = openwebui.ask
        self._openwebui = openwebui

    async def is_installed(self, identifier: str = PIPE_ID) -> bool:
        """Say whether a function is there."""
        return await self._function(identifier) is not None

    async def key(self, identifier: str = PIPE_ID) -> str:
        """Return the Pincite key that is set in a function's valves, "" if there is none."""
        if not await self.is_installed(identifier):
            return ""
        return str((await self._valves(identifier)).get("pincite_key") or "")

    async def install(self, wanted: Wanted, knowledge_bases: Sequence[dict[str, Any]]) -> AsyncIterator[str]:
        """Install what is missing and update what differs, yielding a line for each; at the end all is as wanted.

        `knowledge_bases` have `id`, `name` and `settings.readers`; people see the models of those they may read.
        """
        for file, (_, title, description) in FUNCTIONS.items():
            identifier = function_id(file)
            yield await self._put_function(identifier, title, description, (FOLDER / file).read_text("utf-8"))
            key = wanted.files_key if identifier == FILES else wanted.pincite_key
            async for line in self._put_valves(identifier, wanted, key):
                yield line
        async for line in offer(self._openwebui, knowledge_bases):
            yield line
        yield await self._put_tool_server(wanted)

    async def status(self) -> AsyncIterator[str]:
        """Yield a line for each part: whether it is installed, which version, and whether it is on."""
        for file in FUNCTIONS:
            found = await self._function(function_id(file))
            if found is None:
                yield f"function {function_id(file)}: not installed"
                continue
            version = (found["meta"].get("manifest") or {}).get("version", "unknown")
            current = "as here" if found["content"] == (FOLDER / file).read_text("utf-8") else f"here it is {VERSION}"
            on = "on" if found["is_active"] else "off"
            yield f"function {function_id(file)}: version {version} ({current}), {on}"
        models = await own_models(self._openwebui)
        yield f"models: {', '.join(sorted(model['name'] for model in models)) or 'none'}"
        yield f"tool server {TOOL_SERVER}: {'installed' if self._own(await self._tool_servers()) else 'not installed'}"

    async def uninstall(self) -> AsyncIterator[str]:
        """Take back what `install` made, yielding a line for each."""
        for file in FUNCTIONS:
            if await self.is_installed(function_id(file)):
                await self._ask("DELETE", f"/api/v1/functions/id/{function_id(file)}/delete")
                yield f"removed the function {function_id(file)}"
        for model in await own_models(self._openwebui):
            await self._openwebui.delete_model(str(model["id"]))
            yield f"removed the model {model['name']}"
        servers = await self._tool_servers()
        if self._own(servers):
            others = [server for server in servers if server not in self._own(servers)]
            await self._ask("POST", "/api/v1/configs/tool_servers", {"TOOL_SERVER_CONNECTIONS": others})
            yield f"removed the tool server {TOOL_SERVER}"

    # Functions and their valves

    async def _function(self, identifier: str) -> dict[str, Any] | None:
        listed = await self._ask("GET", "/api/v1/functions/")
        if all(function["id"] != identifier for function in listed):
            return None
        found: dict[str, Any] = await self._ask("GET", f"/api/v1/functions/id/{identifier}")
        return found

    async def _put_function(self, identifier: str, title: str, description: str, content: str) -> str:
        wanted = {"id": identifier, "name": title, "content": content}
        wanted["meta"] = {"description": description, "manifest": {}}  # type: ignore[assignment]
        found = await self._function(identifier)
        if found is None:
            found = await self._ask("POST", "/api/v1/functions/create", wanted)
            told = f"installed the function {identifier}, version {VERSION}"
        elif found["content"] != content:
            await self._ask("POST", f"/api/v1/functions/id/{identifier}/update", wanted)
            told = f"updated the function {identifier} to version {VERSION}"
        else:
            told = f"function {identifier}: version {VERSION} is installed already"
        if not found.get("is_active"):
            await self._ask("POST", f"/api/v1/functions/id/{identifier}/toggle")
        # A filter that is not global would have to be named by each model; as a toggle it is off until chosen.
        if found.get("type") == "filter" and not found.get("is_global"):
            await self._ask("POST", f"/api/v1/functions/id/{identifier}/toggle/global")
        return told

    async def _valves(self, identifier: str) -> dict[str, Any]:
        return (await self._ask("GET", f"/api/v1/functions/id/{identifier}/valves")) or {}

    async def _put_valves(self, identifier: str, wanted: Wanted, key: str) -> AsyncIterator[str]:
        """Set what is wanted and keep what an administrator has set otherwise."""
        known = (await self._ask("GET", f"/api/v1/functions/id/{identifier}/valves/spec"))["properties"]
        values = {"pincite_url": wanted.pincite_url} | ({"pincite_key": key} if key else {})
        if wanted.answering_model is not None:
            values["answering_model"] = wanted.answering_model
        found = await self._valves(identifier)
        changed = found | {name: value for name, value in values.items() if name in known}
        if changed != found:
            await self._ask("POST", f"/api/v1/functions/id/{identifier}/valves/update", changed)
            yield f"set the valves of {identifier}"

    # The MCP server

    async def _tool_servers(self) -> list[dict[str, Any]]:
        told = await self._ask("GET", "/api/v1/configs/tool_servers")
        return told["TOOL_SERVER_CONNECTIONS"] or []

    def _own(self, servers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [server for server in servers if (server.get("info") or {}).get("id") == TOOL_SERVER]

    async def _put_tool_server(self, wanted: Wanted) -> str:
        """Add our MCP server to the list, which can only be replaced as a whole."""
        servers = await self._tool_servers()
        own = tool_server(wanted)
        found = self._own(servers)
        if found and all(found[0].get(name) == own[name] for name in ("url", "key", "type", "auth_type", "headers")):
            return f"tool server {TOOL_SERVER}: is installed already"
        others = [server for server in servers if server not in found]
        await self._ask("POST", "/api/v1/configs/tool_servers", {"TOOL_SERVER_CONNECTIONS": [*others, own]})
        return f"{'updated' if found else 'added'} the tool server {TOOL_SERVER}"


def tool_server(wanted: Wanted) -> dict[str, Any]:
    """Return our MCP server as Open WebUI lists it."""
    return {
        "type": "mcp",
        "url": f"{wanted.pincite_url.rstrip('/')}/mcp",
        "path": "",
        "auth_type": "session" if wanted.sessions else "bearer",
        "key": "" if wanted.sessions else wanted.pincite_key,
        # By these the server finds the message that is to show what was found.
        "headers": CHAT_HEADERS if wanted.sessions else None,
        "config": {
            "enable": True,
            "function_name_filter_list": "",
            # Without grants it is for administrators: a key alone does not say who asks.
            "access_grants": [EVERYONE] if wanted.sessions else [],
        },
        "info": {
            "id": TOOL_SERVER,
            "name": "Pincite",
            "description": "Searches the knowledge bases and cites the page.",
        },
    }
