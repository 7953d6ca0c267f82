"""The records of models inside Open WebUI, where the pipe and the Event function may make the same one at once."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from plugin.function.openwebui import Inside

pytestmark = pytest.mark.anyio

FORM = {"id": "pincite.kb_1", "name": "Pincite: library", "access_grants": []}


async def test_a_model_that_was_made_meanwhile_is_brought_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[Any, ...]] = []

    async def insert(form: Any, owner: str) -> None:
        raise IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed: model.id"))

    async def update(identifier: str, form: Any) -> None:
        done.append((identifier, form.name))

    async def grant(*granted: Any) -> None:
        done.append(granted)

    async def administrator() -> Any:
        return SimpleNamespace(id="admin")

    parts: dict[str, dict[str, Any]] = {
        "open_webui": {},
        "open_webui.models": {},
        "open_webui.models.models": {
            "ModelForm": SimpleNamespace,
            "Models": SimpleNamespace(insert_new_model=insert, update_model_by_id=update),
        },
        "open_webui.models.users": {"Users": SimpleNamespace(get_super_admin_user=administrator)},
        "open_webui.models.access_grants": {"AccessGrants": SimpleNamespace(set_access_grants=grant)},
    }
    for name, attributes in parts.items():
        module = ModuleType(name)
        module.__dict__.update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
    await Inside().create_model(FORM)
    assert done == [("pincite.kb_1", "Pincite: library"), ("model", "pincite.kb_1", [])]
