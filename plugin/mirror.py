"""Mirrors collections of Open WebUI's own Knowledge into knowledge bases: their files, and who may read them.

A mirror is a knowledge base whose name ends as below; nothing else in Pincite is touched. Rights are changed before
files, so that nobody reads what is no longer shared with them.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import quote

import httpx

from plugin.openwebui_api import OpenWebUIApi

MIRRORED = " · Open WebUI"
TIMEOUT_S = 120.0


class MirrorFailure(Exception):
    """Pincite refused or does not answer; the message is its own."""


class Mirror:
    """Copies from an Open WebUI to the Pincite server at `url`, with a key that may administer it."""

    def __init__(self, openwebui: OpenWebUIApi, url: str, key: str) -> None:
        self._openwebui = openwebui
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=TIMEOUT_S, trust_env=False
        )

    def __enter__(self) -> "Mirror":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def knowledge_bases(self) -> list[dict[str, Any]]:
        """Return all knowledge bases, mirrors and others."""
        listed: list[dict[str, Any]] = self._ask("GET", "/api/knowledge-bases")
        return listed

    def sync(self, names: Collection[str] = (), *, force: bool = False) -> Iterator[str]:
        """Bring the mirrors of the named collections, or of all, up to date, yielding a line for each change.

        Where more than half of a mirror's documents would vanish, they stay and a line says so, unless `force`.

        Raises:
            OpenWebUIFailure, MirrorFailure: one of the two refused; what was done stays.
        """
        audience = self._openwebui.audience()
        collections = self._openwebui.pages("/api/v1/knowledge/")
        twice = [name for name, count in Counter(each["name"] for each in collections).items() if count > 1]
        there = {kb["name"]: kb for kb in self.knowledge_bases()}
        unknown = set(names) - {collection["name"] for collection in collections}
        for name in sorted(unknown):
            yield f"{name}: there is no such collection"
        for collection in collections:
            name = collection["name"]
            if (names and name not in names) or name in twice:
                continue
            readers = audience.readers(collection["user_id"], collection.get("access_grants") or [])
            yield from self._rights(there, name, readers)
            yield from self._files(collection, force=force)
        for name in twice:
            yield f"{name}: there are several collections of this name; rename them to have them mirrored"
        if not names:
            gone = set(there) - {collection["name"] + MIRRORED for collection in collections}
            for name in sorted(name for name in gone if name.endswith(MIRRORED) and there[name]["settings"]["readers"]):
                self._ask("PATCH", f"/api/knowledge-bases/{there[name]['id']}", {"settings": {"readers": []}})
                yield f"{name}: its collection is gone, so nobody may read it any more; `pincite remove` removes it"

    def _rights(self, there: dict[str, dict[str, Any]], name: str, readers: list[str]) -> Iterator[str]:
        found = there.get(name + MIRRORED)
        if found is None:
            made = {"name": name + MIRRORED, "settings": {"readers": readers}}
            self._ask("POST", "/api/knowledge-bases", made)
            yield f"{name}: made its knowledge base, for {', '.join(readers) or 'nobody'}"
        elif sorted(found["settings"]["readers"]) != sorted(readers):
            self._ask("PATCH", f"/api/knowledge-bases/{found['id']}", {"settings": {"readers": readers}})
            yield f"{name}: is now for {', '.join(readers) or 'nobody'}"

    def _files(self, collection: dict[str, Any], *, force: bool) -> Iterator[str]:
        name, base = collection["name"], f"/api/knowledge-bases/{quote(collection['name'] + MIRRORED, safe='')}"
        files = _named(self._openwebui.pages(f"/api/v1/knowledge/{collection['id']}/files"))
        documents = {document["path"]: document for document in self._ask("GET", f"{base}/documents")}
        gone = [documents[path] for path in documents if path not in files]
        if len(gone) * 2 > len(documents) and len(documents) > 1 and not force:
            yield f"{name}: {len(gone)} of {len(documents)} documents would vanish; if that is meant, use --force"
            gone = []
        for document in gone:
            self._ask("DELETE", f"{base}/documents/{document['id']}")
            yield f"{name}: removed {document['path']}"
        for path, file in files.items():
            known = documents.get(path, {}).get("sha256")
            if known is not None and known == (file.get("meta") or {}).get("file_hash"):
                continue
            content = self._openwebui.file(file["id"])
            if known != hashlib.sha256(content).hexdigest():
                yield f"{name}: {path}: {self._upload(base, path, content)}"

    def _upload(self, base: str, path: str, content: bytes) -> str:
        """Index a file and return what became of it."""
        job = self._ask("POST", f"{base}/documents", files=[("files", (path, content))])
        try:
            with self._http.stream("GET", f"/api/jobs/{job['id']}/events", timeout=None) as events:
                for _ in events.iter_lines():  # it ends with the job
                    pass
        except httpx.HTTPError:
            raise MirrorFailure(f"The Pincite server stopped answering while it indexed {path}.") from None
        job = self._ask("GET", f"/api/jobs/{job['id']}")
        if not job["results"]:
            return str((job["error"] or {}).get("message", job["state"]))
        result = job["results"][0]
        return str(result["error"]["message"] if result["error"] else result["status"])

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, files: Any = None) -> Any:
        try:
            answer = self._http.request(method, path, json=body, files=files)
            told = answer.json() if answer.content else None
        except (httpx.HTTPError, ValueError):
            raise MirrorFailure("The Pincite server does not answer; is it running?") from None
        if answer.is_success:
            return told
        raise MirrorFailure(str(told.get("detail")) if isinstance(told, dict) else f"Pincite refused {method} {path}.")


def _named(files: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return files by their names; of those that share one, each has its id before it."""
    count = Counter(file["filename"] for file in files)
    return {
        file["filename"] if count[file["filename"]] == 1 else f"{file['id'][:8]} {file['filename']}": file
        for file in files
    }
