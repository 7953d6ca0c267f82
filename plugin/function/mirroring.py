"""Mirrors the files of an Open WebUI into knowledge bases: the collections of its Knowledge, and what is attached.

Nothing else in Pincite is touched. Rights are changed before files, so that nobody reads what is no longer shared with
them.
"""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Collection
from typing import Any

from plugin.function.files import ATTACHMENTS, MIRRORED, NO_DOCUMENTS, attached_path, collected_paths, owner_of
from plugin.function.openwebui import Audience, OpenWebUI
from plugin.function.storing import Store


class Mirror:
    """Copies from one Open WebUI to one Pincite."""

    def __init__(self, openwebui: OpenWebUI, store: Store) -> None:
        self._openwebui = openwebui
        self.store = store

    async def collections(self, names: Collection[str] = (), *, force: bool = False) -> AsyncIterator[str]:
        """Bring the mirrors of the named collections, or of all, up to date, yielding a line for each change.

        Where more than half of a mirror's documents would vanish, they stay and a line says so, unless `force`.

        Raises:
            StoreFailure: Pincite refused or does not answer; what was done stays.
        """
        audience = await self._openwebui.audience()
        found = await self._openwebui.collections()
        twice = [name for name, count in Counter(each["name"] for each in found).items() if count > 1]
        there = {kb["name"]: kb for kb in await self.store.knowledge_bases()}
        for name in sorted(set(names) - {collection["name"] for collection in found}):
            yield f"{name}: there is no such collection"
        for collection in found:
            name = collection["name"]
            if (names and name not in names) or name in twice:
                continue
            readers = audience.readers(collection["user_id"], collection.get("access_grants") or [])
            mirror = there.get(name + MIRRORED)
            if mirror is None:
                mirror = await self.store.make(name + MIRRORED, readers)
                yield f"{name}: made its knowledge base, for {', '.join(readers) or 'nobody'}"
            elif sorted(mirror["settings"]["readers"]) != sorted(readers):
                await self.store.let_read(mirror["id"], readers)
                yield f"{name}: is now for {', '.join(readers) or 'nobody'}"
            files = collected_paths(await self._openwebui.collection_files(collection["id"]))
            async for line in self._files(mirror["id"], files, force=force):
                yield f"{name}: {line}"
        for name in twice:
            yield f"{name}: there are several collections of this name; rename them to have them mirrored"
        if not names:
            gone = set(there) - {collection["name"] + MIRRORED for collection in found}
            for name in sorted(name for name in gone if name.endswith(MIRRORED) and there[name]["settings"]["readers"]):
                await self.store.let_read(there[name]["id"], [])
                yield f"{name}: its collection is gone, so nobody may read it any more; `pincite remove` removes it"

    async def attachments(self, user_id: str | None = None) -> AsyncIterator[str]:
        """Bring the files that someone attached, or that anyone did, up to date, yielding a line for each change.

        Raises:
            StoreFailure: Pincite refused or does not answer; what was done stays.
        """
        audience = await self._openwebui.audience()
        attached: dict[str, dict[str, dict[str, Any]]] = {}
        for file in await self._attached(user_id):
            if file["user_id"] in audience:
                attached.setdefault(file["user_id"], {})[attached_path(file)] = file
        listed = await self.store.knowledge_bases()
        there = {owner: kb for kb in listed if (owner := owner_of(kb["name"])) is not None}
        owners = set(there) if user_id is None else {user_id}
        for owner in sorted(owners | set(attached)):
            async for line in self._own(owner, there.get(owner), attached.get(owner, {}), audience):
                yield line

    async def _own(
        self, owner: str, mirror: dict[str, Any] | None, files: dict[str, dict[str, Any]], audience: Audience
    ) -> AsyncIterator[str]:
        """Bring the knowledge base of someone's own files up to date; without any there is none."""
        who = audience.name(owner)
        if not files:
            if mirror is not None:
                await self.store.drop(mirror["id"])
                yield f"attachments of {who}: removed, as there are none any more"
            return
        readers = [f"user:{owner}"]
        if mirror is None:
            mirror = await self.store.make(ATTACHMENTS + owner, readers)
        elif mirror["settings"]["readers"] != readers:
            await self.store.let_read(mirror["id"], readers)
            yield f"attachments of {who}: are for nobody else any more"
        # Each path has its file's id, so what is gone here is gone there, however much it is.
        async for line in self._files(mirror["id"], files, force=True):
            yield f"attachments of {who}: {line}"

    async def _attached(self, user_id: str | None) -> list[dict[str, Any]]:
        """Return the files that are documents and of no collection."""
        uploads = [
            file
            for file in await self._openwebui.uploads(user_id)
            if file["collection_id"] is None and not file["media_type"].startswith(NO_DOCUMENTS)
        ]
        if not uploads:
            return []
        collected: set[str] = set()
        for collection in await self._openwebui.collections():
            collected |= {file["id"] for file in await self._openwebui.collection_files(collection["id"])}
        return [file for file in uploads if file["id"] not in collected]

    async def _files(self, knowledge_base: str, files: dict[str, dict[str, Any]], *, force: bool) -> AsyncIterator[str]:
        """Make the documents of a knowledge base those of the files, which are given by path."""
        documents = await self.store.documents(knowledge_base)
        gone = [path for path in documents if path not in files]
        if len(gone) * 2 > len(documents) and len(documents) > 1 and not force:
            yield f"{len(gone)} of {len(documents)} documents would vanish; if that is meant, use --force"
            gone = []
        for path in gone:
            await self.store.remove(knowledge_base, documents[path]["id"])
            yield f"removed {path}"
        for path, file in files.items():
            known = documents.get(path, {}).get("sha256")
            if known is not None and known == file["sha256"]:
                continue
            content = await self._openwebui.content(file["id"])
            if known != hashlib.sha256(content).hexdigest():
                yield f"{path}: {await self.store.add(knowledge_base, path, content)}"
