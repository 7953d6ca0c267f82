"""The knowledge bases as models that people see: a record in Open WebUI for each, with those who may use it."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from plugin.function.files import offered
from plugin.function.openwebui import OpenWebUI

PIPE_ID = "pincite"
EVERY_KNOWLEDGE_BASE = "everything"


async def offer(openwebui: OpenWebUI, knowledge_bases: Sequence[dict[str, Any]]) -> AsyncIterator[str]:
    """Make the models those of the knowledge bases, for their readers, yielding a line for each change.

    `knowledge_bases` have `id`, `name` and `settings.readers`. A model that has no record is seen by administrators
    only.
    """
    there = {str(model["id"]): model for model in await own_models(openwebui)}
    audience = await openwebui.audience()
    wanted = {
        f"{PIPE_ID}.{kb['id']}": (f"Pincite: {kb['name']}", audience.grants(kb["settings"]["readers"]))
        for kb in offered(knowledge_bases)
    }
    # It searches only what the asking person may read, so everyone may see it.
    wanted[f"{PIPE_ID}.{EVERY_KNOWLEDGE_BASE}"] = (f"Pincite: {EVERY_KNOWLEDGE_BASE}", audience.grants(["everyone"]))
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
            await openwebui.create_model(form)
            yield f"made the model {name}"
        elif not same_model(found, form):
            await openwebui.update_model(form)
            yield f"updated the model {name}"
    for identifier, model in there.items():
        await openwebui.delete_model(identifier)
        yield f"removed the model {model['name']}, whose knowledge base is gone"


async def own_models(openwebui: OpenWebUI) -> list[dict[str, Any]]:
    """Return the records of the pipe's models."""
    return [model for model in await openwebui.models() if str(model["id"]).startswith(f"{PIPE_ID}.")]


def same_model(found: dict[str, Any], form: dict[str, Any]) -> bool:
    """Say whether a record is as it should be."""

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
