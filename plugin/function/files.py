"""What the files of an Open WebUI are called in the index.

The mirror of a collection is a knowledge base whose name ends in `MIRRORED`. The files that someone attached to chats
are in one of their own, named `ATTACHMENTS` and their id: it is no model, as its owner's questions reach it anyway.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

MIRRORED = " · Open WebUI"
ATTACHMENTS = "Attachments · "
# Open WebUI keeps these beside documents.
NO_DOCUMENTS = ("image/", "audio/", "video/")


def file_of(told: dict[str, Any]) -> dict[str, Any]:
    """Return what Open WebUI tells of a file: `id`, `name`, `user_id`, `sha256`, `media_type`, `collection_id`."""
    meta = told.get("meta") or {}
    name = str(meta.get("name") or told.get("filename") or told["id"])
    return {
        "id": told["id"],
        # As Pincite shows it: with a folder or a quote in its name it would come back as another one.
        "name": "".join("_" if letter in '/\\"' else letter for letter in name if letter.isprintable()).strip(),
        "user_id": told.get("user_id"),
        "sha256": str(meta.get("file_hash") or ""),
        "media_type": str(meta.get("content_type") or ""),
        "collection_id": (meta.get("data") or {}).get("knowledge_id"),
    }


def offered(knowledge_bases: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the knowledge bases that are models of their own."""
    return [kb for kb in knowledge_bases if owner_of(kb["name"]) is None]


def owner_of(knowledge_base: str) -> str | None:
    """Return whose attachments a knowledge base of this name holds; None for any other, and for any mirror."""
    if not knowledge_base.startswith(ATTACHMENTS) or knowledge_base.endswith(MIRRORED):
        return None
    return knowledge_base.removeprefix(ATTACHMENTS)


def attached_path(file: dict[str, Any]) -> str:
    """Return the path of an attached file; a citation shows what follows the id."""
    return f"{file['id']}/{file['name']}"


def collected_paths(files: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the files of a collection by path; of those that share a name, each has its id before it."""
    count = Counter(file["name"] for file in files)
    return {file["name"] if count[file["name"]] == 1 else _path_with_id(file): file for file in files}


def collected_names(told: dict[str, Any]) -> tuple[str, str]:
    """Return the paths that a file may have in the mirror of its collection, of which only one is its own."""
    file = file_of(told)
    return _path_with_id(file), file["name"]


def _path_with_id(file: dict[str, Any]) -> str:
    return f"{file['id'][:8]} {file['name']}"
