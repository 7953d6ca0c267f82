"""The people, files and models of an Open WebUI: what is asked of it, and the answers from inside of it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from plugin.function.files import file_of

FILES_AT_ONCE = 50


class OpenWebUI(Protocol):
    """One Open WebUI; its files are as `file_of` returns them."""

    async def audience(self) -> "Audience":
        """Return its users and groups."""

    async def collections(self) -> list[dict[str, Any]]:
        """Return the collections of its Knowledge: `id`, `name`, `user_id`, `access_grants`."""

    async def collection_files(self, collection_id: str) -> list[dict[str, Any]]:
        """Return the files of a collection."""

    async def uploads(self, user_id: str | None) -> list[dict[str, Any]]:
        """Return the files that someone uploaded, or that anyone did."""

    async def content(self, file_id: str) -> bytes:
        """Return a file as it was uploaded."""

    async def models(self) -> list[dict[str, Any]]:
        """Return the records of models that are no presets."""

    async def create_model(self, form: dict[str, Any]) -> None:
        """Make the record of a model."""

    async def update_model(self, form: dict[str, Any]) -> None:
        """Change the record of a model, and who may use it."""

    async def delete_model(self, model_id: str) -> None:
        """Remove the record of a model."""


class Audience:
    """Users and groups: a knowledge base's readers, such as `group:legal`, to grants in Open WebUI and back."""

    def __init__(self, users: Sequence[dict[str, Any]], groups: Sequence[dict[str, Any]]) -> None:
        self._users = {user["id"]: str(user["email"]).casefold() for user in users}
        self._groups = {group["id"]: str(group["name"]) for group in groups}

    def __contains__(self, user_id: str) -> bool:
        return user_id in self._users

    def name(self, user_id: str) -> str:
        """Return the e-mail address of a user; of one who is gone, the id."""
        return self._users.get(user_id, user_id)

    def grants(self, readers: Sequence[str]) -> list[dict[str, str]]:
        """Return the grants of a model; a reader who is not there is left out."""
        users = {email: identifier for identifier, email in self._users.items()}
        users |= {identifier: identifier for identifier in self._users}
        groups = {name: identifier for identifier, name in self._groups.items()}
        found: list[tuple[str, str]] = []
        for reader in readers:
            kind, _, name = reader.partition(":")
            if reader == "everyone":
                found.append(("user", "*"))
            elif kind == "user" and (user := users.get(name.casefold()) or users.get(name)):
                found.append(("user", user))
            elif kind == "group" and name in groups:
                found.append(("group", groups[name]))
        return [{"principal_type": kind, "principal_id": who, "permission": "read"} for kind, who in found]

    def readers(self, owner: str, grants: Sequence[dict[str, Any]]) -> list[str]:
        """Return the readers of a collection: its owner, and whom it is shared with."""
        found = {f"user:{self._users[owner]}"} if owner in self._users else set()
        for grant in grants:
            kind, who = grant["principal_type"], grant["principal_id"]
            if kind == "user" and who == "*":
                return ["everyone"]
            if kind == "user" and who in self._users:
                found.add(f"user:{self._users[who]}")
            elif kind == "group" and who in self._groups:
                found.add(f"group:{self._groups[who]}")
        return sorted(found)


class Inside:
    """The Open WebUI that runs this function."""

    async def audience(self) -> Audience:
        """Return its users and groups."""
        from open_webui.models.groups import Groups  # type: ignore[import-not-found]
        from open_webui.models.users import Users  # type: ignore[import-not-found]

        users, groups = (await Users.get_users())["users"], await Groups.get_all_groups()
        return Audience(
            [{"id": user.id, "email": user.email} for user in users],
            [{"id": group.id, "name": group.name} for group in groups],
        )

    async def collections(self) -> list[dict[str, Any]]:
        """Return the collections of its Knowledge."""
        from open_webui.models.knowledge import Knowledges  # type: ignore[import-not-found]

        return [collection.model_dump() for collection in await Knowledges.get_knowledge_bases()]

    async def collection_files(self, collection_id: str) -> list[dict[str, Any]]:
        """Return the files of a collection, without their texts."""
        from open_webui.models.knowledge import Knowledges

        return [file_of(file.model_dump()) for file in await Knowledges.get_file_metadatas_by_id(collection_id)]

    async def uploads(self, user_id: str | None) -> list[dict[str, Any]]:
        """Return the files that someone uploaded, or that anyone did."""
        from open_webui.models.files import Files  # type: ignore[import-not-found]

        found: list[dict[str, Any]] = []
        while True:
            page = await Files.get_file_list(user_id=user_id, skip=len(found), limit=FILES_AT_ONCE)
            found += [file_of(file.model_dump(exclude={"data"})) for file in page.items]
            if not page.items or len(found) >= page.total:
                return found

    async def upload(self, file_id: str) -> dict[str, Any] | None:
        """Return a file, if it is there, and in `status` how far Open WebUI's own reading of it is."""
        from open_webui.models.files import Files

        found = await Files.get_file_by_id(file_id)
        return found and file_of(found.model_dump()) | {"status": (found.data or {}).get("status")}

    async def content(self, file_id: str) -> bytes:
        """Return a file as it was uploaded."""
        from open_webui.models.files import Files
        from open_webui.storage.provider import Storage  # type: ignore[import-not-found]

        found = await Files.get_file_by_id(file_id)
        if found is None:
            raise FileNotFoundError(f"The file {file_id} is gone.")
        return await asyncio.to_thread(lambda: Path(Storage.get_file(found.path)).read_bytes())

    async def models(self) -> list[dict[str, Any]]:
        """Return the records of models that are no presets."""
        from open_webui.models.models import Models  # type: ignore[import-not-found]

        return [model.model_dump() for model in await Models.get_base_models()]

    async def create_model(self, form: dict[str, Any]) -> None:
        """Make the record of a model, which belongs to the first administrator; another function may be quicker."""
        from open_webui.models.models import ModelForm, Models
        from open_webui.models.users import Users
        from sqlalchemy.exc import IntegrityError

        owner = await Users.get_super_admin_user()
        try:
            await Models.insert_new_model(ModelForm(**form), owner.id)
        except IntegrityError:
            await self.update_model(form)

    async def update_model(self, form: dict[str, Any]) -> None:
        """Change the record of a model, and who may use it."""
        from open_webui.models.access_grants import AccessGrants  # type: ignore[import-not-found]
        from open_webui.models.models import ModelForm, Models

        await Models.update_model_by_id(form["id"], ModelForm(**form))
        await AccessGrants.set_access_grants("model", form["id"], form["access_grants"])

    async def delete_model(self, model_id: str) -> None:
        """Remove the record of a model."""
        from open_webui.models.models import Models

        await Models.delete_model_by_id(model_id)
