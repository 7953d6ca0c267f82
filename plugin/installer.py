"""Installs the functions, their models and the MCP server in an Open WebUI, by its REST interface, and takes them back.

Run twice it changes nothing. What it made is known by its name: the functions' ids, model ids that begin with the
pipe's, and the tool server's id; nothing else in that Open WebUI is touched.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugin.bundle import FUNCTIONS, VERSION
from plugin.openwebui_api import OpenWebUIApi

PIPE = "pincite"
EVERYTHING = "everything"
TOOL_SERVER = "pincite"
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Wanted:
    """What the functions are to know: the server as Open WebUI reaches it, its key, the model that writes."""

    pincite_url: str
    pincite_key: str
    answering_model: str | None = None


def function_id(file: str) -> str:
    """Return the id of a function file in Open WebUI; the pipe's begins the ids of its models."""
    stem = file.removesuffix(".py")
    return PIPE if stem == "pincite_pipe" else stem


class Installer:
    """Installs in one Open WebUI."""

    def __init__(self, openwebui: OpenWebUIApi) -> None:
        self._ask = openwebui.ask
        self._openwebui = openwebui

    def is_installed(self) -> bool:
        """Say whether the pipe is there."""
        return self._function(PIPE) is not None

    def key(self) -> str:
        """Return the Pincite key that is set in the pipe's valves, "" if there is none."""
        return str(self._valves(PIPE).get("pincite_key", "")) if self.is_installed() else ""

    def install(self, wanted: Wanted, knowledge_bases: Sequence[dict[str, Any]]) -> Iterator[str]:
        """Install what is missing and update what differs, yielding a line for each; at the end all is as wanted.

        `knowledge_bases` have `id`, `name` and `settings.readers`; people see the models of those they may read.
        """
        for file, (_, title, description) in FUNCTIONS.items():
            yield self._put_function(function_id(file), title, description, (FOLDER / file).read_text("utf-8"))
            yield from self._put_valves(function_id(file), wanted)
        yield from self.put_models(knowledge_bases)
        yield self._put_tool_server(wanted)

    def status(self) -> Iterator[str]:
        """Yield a line for each part: whether it is installed, which version, and whether it is on."""
        for file in FUNCTIONS:
            found = self._function(function_id(file))
            if found is None:
                yield f"function {function_id(file)}: not installed"
                continue
            version = (found["meta"].get("manifest") or {}).get("version", "unknown")
            current = "as here" if found["content"] == (FOLDER / file).read_text("utf-8") else f"here it is {VERSION}"
            on = "on" if found["is_active"] else "off"
            yield f"function {function_id(file)}: version {version} ({current}), {on}"
        models = self._models()
        yield f"models: {', '.join(sorted(model['name'] for model in models)) or 'none'}"
        yield f"tool server {TOOL_SERVER}: {'installed' if self._own(self._tool_servers()) else 'not installed'}"

    def uninstall(self) -> Iterator[str]:
        """Take back what `install` made, yielding a line for each."""
        for model in self._models():
            self._ask("POST", "/api/v1/models/model/delete", {"id": model["id"]})
            yield f"removed the model {model['name']}"
        for file in FUNCTIONS:
            if self._function(function_id(file)) is not None:
                self._ask("DELETE", f"/api/v1/functions/id/{function_id(file)}/delete")
                yield f"removed the function {function_id(file)}"
        servers = self._tool_servers()
        if self._own(servers):
            others = [server for server in servers if server not in self._own(servers)]
            self._ask("POST", "/api/v1/configs/tool_servers", {"TOOL_SERVER_CONNECTIONS": others})
            yield f"removed the tool server {TOOL_SERVER}"

    # Functions and their valves

    def _function(self, identifier: str) -> dict[str, Any] | None:
        listed = self._ask("GET", "/api/v1/functions/")
        if all(function["id"] != identifier for function in listed):
            return None
        found: dict[str, Any] = self._ask("GET", f"/api/v1/functions/id/{identifier}")
        return found

    def _put_function(self, identifier: str, title: str, description: str, content: str) -> str:
        wanted = {"id": identifier, "name": title, "content": content}
        wanted["meta"] = {"description": description, "manifest": {}}  # type: ignore[assignment]
        found = self._function(identifier)
        if found is None:
            found = self._ask("POST", "/api/v1/functions/create", wanted)
            told = f"installed the function {identifier}, version {VERSION}"
        elif found["content"] != content:
            self._ask("POST", f"/api/v1/functions/id/{identifier}/update", wanted)
            told = f"updated the function {identifier} to version {VERSION}"
        else:
            told = f"function {identifier}: version {VERSION} is installed already"
        if not found.get("is_active"):
            self._ask("POST", f"/api/v1/functions/id/{identifier}/toggle")
        # A filter that is not global would have to be named by each model; as a toggle it is off until chosen.
        if found.get("type") == "filter" and not found.get("is_global"):
            self._ask("POST", f"/api/v1/functions/id/{identifier}/toggle/global")
        return told

    def _valves(self, identifier: str) -> dict[str, Any]:
        return self._ask("GET", f"/api/v1/functions/id/{identifier}/valves") or {}

    def _put_valves(self, identifier: str, wanted: Wanted) -> Iterator[str]:
        """Set what is wanted and keep what an administrator has set otherwise."""
        known = self._ask("GET", f"/api/v1/functions/id/{identifier}/valves/spec")["properties"]
        values = {"pincite_url": wanted.pincite_url, "pincite_key": wanted.pincite_key}
        if wanted.answering_model is not None:
            values["answering_model"] = wanted.answering_model
        found = self._valves(identifier)
        changed = found | {name: value for name, value in values.items() if name in known}
        if changed != found:
            self._ask("POST", f"/api/v1/functions/id/{identifier}/valves/update", changed)
            yield f"set the valves of {identifier}"

    # Models

    def _models(self) -> list[dict[str, Any]]:
        listed = self._ask("GET", "/api/v1/models/base")
        return [model for model in listed if str(model["id"]).startswith(f"{PIPE}.")]

    def put_models(self, knowledge_bases: Sequence[dict[str, Any]]) -> Iterator[str]:
        """Make the models those of the knowledge bases, for their readers, yielding a line for each change."""
        there = {model["id"]: model for model in self._models()}
        audience = self._openwebui.audience()
        wanted = {
            f"{PIPE}.{kb['id']}": (f"Pincite: {kb['name']}", audience.grants(kb["settings"]["readers"]))
            for kb in knowledge_bases
        }
        # It searches only what the asking person may read, so everyone may see it.
        wanted[f"{PIPE}.{EVERYTHING}"] = (f"Pincite: {EVERYTHING}", audience.grants(["everyone"]))
        for identifier, (name, grants) in wanted.items():
            found = there.pop(identifier, None)
            meta = (found or {}).get("meta") or {}
            # Without it Open WebUI would search an attached file itself, before the pipe.
            capabilities = (meta.get("capabilities") or {}) | {"file_context": False, "citations": True}
            form = {
                "id": identifier,
                "base_model_id": None,
                "name": name,
                "params": (found or {}).get("params") or {},
                "meta": meta | {"capabilities": capabilities},
                "access_grants": grants,
                "is_active": True,
            }
            if found is None:
                self._ask("POST", "/api/v1/models/create", form)
                yield f"made the model {name}"
            elif not _same(found, form):
                self._ask("POST", "/api/v1/models/model/update", form)
                yield f"updated the model {name}"
        for identifier, model in there.items():
            self._ask("POST", "/api/v1/models/model/delete", {"id": identifier})
            yield f"removed the model {model['name']}, whose knowledge base is gone"

    # The MCP server

    def _tool_servers(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self._ask("GET", "/api/v1/configs/tool_servers")["TOOL_SERVER_CONNECTIONS"] or []
        return listed

    def _own(self, servers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [server for server in servers if (server.get("info") or {}).get("id") == TOOL_SERVER]

    def _put_tool_server(self, wanted: Wanted) -> str:
        """Add our MCP server to the list, which can only be replaced as a whole."""
        servers = self._tool_servers()
        own = {
            "url": f"{wanted.pincite_url.rstrip('/')}/mcp",
            "path": "",
            "type": "mcp",
            "auth_type": "bearer",
            "key": wanted.pincite_key,
            # Without grants it is for administrators: the key alone does not say who asks.
            "config": {"enable": True, "function_name_filter_list": "", "access_grants": []},
            "info": {
                "id": TOOL_SERVER,
                "name": "Pincite",
                "description": "Searches the knowledge bases and cites the page.",
            },
        }
        found = self._own(servers)
        if found and all(found[0].get(name) == own[name] for name in ("url", "key", "type", "auth_type")):
            return f"tool server {TOOL_SERVER}: is installed already"
        others = [server for server in servers if server not in found]
        self._ask("POST", "/api/v1/configs/tool_servers", {"TOOL_SERVER_CONNECTIONS": [*others, own]})
        return f"{'updated' if found else 'added'} the tool server {TOOL_SERVER}"


def _same(found: dict[str, Any], form: dict[str, Any]) -> bool:
    def grants(model: dict[str, Any]) -> set[tuple[str, ...]]:
        fields = ("principal_type", "principal_id", "permission")
        return {tuple(str(grant[field]) for field in fields) for grant in model.get("access_grants") or []}

    same = ("name", "is_active")
    capabilities = (found.get("meta") or {}).get("capabilities")
    return (
        all(found.get(name) == form[name] for name in same)
        and grants(found) == grants(form)
        and capabilities == form["meta"]["capabilities"]
    )
