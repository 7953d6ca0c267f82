"""What is attached to a chat: where it stands in the index, and the wait until it is there."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from plugin.function.asking import Pincite
from plugin.function.evidence import Asker, Part
from plugin.function.files import ATTACHMENTS, MIRRORED, NO_DOCUMENTS, collected_names
from plugin.function.wording import counted

MIRRORING = "pincite_files"
LOOK_FOR_PROGRESS_S = 0.5
TELL_EVERY_S = 3.0  # each line is kept with the message
# A file is mirrored as soon as it is uploaded; longer than this nothing happens only where nothing will.
PATIENCE_S = 10.0
LONGEST_INDEXING_S = 600.0


@dataclass
class Attached:
    """The parts of the index that are attached, and a line about each file that is not in it."""

    parts: list[Part] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


async def attached_to(pincite: Pincite, asker: Asker, files: list[dict[str, Any]] | None) -> Attached:
    """Return what the files of a chat are in the index, once they are there; the person sees how far it is.

    Raises:
        PinciteFailure: the server cannot say.
    """
    found = Attached()
    files = [item for item in files or [] if item.get("type") == "collection" or _is_document(item)]
    whole = [str(item.get("name")) for item in files if item.get("type") == "collection"]
    of_collections = [item for item in files if item.get("type") == "file" and item.get("collection")]
    own = [item for item in files if item.get("type") == "file" and not item.get("collection")]
    if whole or of_collections:
        mirrors = {kb["name"]: str(kb["id"]) for kb in await pincite.knowledge_bases(asker.person)}
        for name in whole:
            if name + MIRRORED in mirrors:
                found.parts.append(Part(mirrors[name + MIRRORED]))
            else:
                found.told.append(asker.say("not indexed", name=name))
        for item in of_collections:
            await _collected(pincite, asker, item, mirrors, found)
    if own:
        wanted = {str(item["id"]): str(item.get("name") or item["id"]) for item in own}
        await _own(pincite, asker, wanted, found)
    return found


async def _collected(
    pincite: Pincite, asker: Asker, item: dict[str, Any], mirrors: dict[str, str], found: Attached
) -> None:
    """Find one file of a collection in the collection's mirror."""
    mirror = mirrors.get(str(item["collection"].get("name")) + MIRRORED)
    documents = await pincite.documents(asker.person, mirror) if mirror else []
    there = {document["path"]: document for document in documents}
    path = next((path for path in collected_names(item) if path in there), "")
    _add(asker, mirror, {path: str(item.get("name") or item["id"])}, there, found)


async def _own(pincite: Pincite, asker: Asker, wanted: dict[str, str], found: Attached) -> None:
    """Find the files that someone attached among their own, and wait for those that are being indexed."""
    name = ATTACHMENTS + str(asker.person["id"])
    patience = PATIENCE_S if await _are_mirrored() else 0.0
    began = last_seen = time.monotonic()
    last_told = -TELL_EVERY_S
    while True:
        readable = await pincite.knowledge_bases(asker.person)
        mirror = next((kb["id"] for kb in readable if kb["name"] == name), None)
        documents = await pincite.documents(asker.person, mirror) if mirror else []
        there = {document["path"].partition("/")[0]: document for document in documents}
        missing = [label for identifier, label in wanted.items() if identifier not in there]
        jobs = await pincite.jobs(asker.person, mirror) if mirror and missing else []
        now = time.monotonic()
        last_seen = now if jobs else last_seen
        if not missing or now - last_seen >= patience or now - began >= LONGEST_INDEXING_S:
            break
        if now - last_told >= TELL_EVERY_S:
            last_told = now
            so_far = counted(asker.language, "a passage", "passages", sum(job["passages"] for job in jobs))
            await asker.status(asker.say("reading", name=missing[0], passages=so_far))
        await asyncio.sleep(LOOK_FOR_PROGRESS_S)
    _add(asker, mirror, wanted, there, found)


def _add(
    asker: Asker, mirror: str | None, wanted: dict[str, str], there: dict[str, dict[str, Any]], found: Attached
) -> None:
    """Add the documents that are there to the parts, and for each of the others a line that says why it is not."""
    chosen = []
    for key, label in wanted.items():
        document = there.get(key)
        if document is None:
            found.told.append(asker.say("not indexed", name=label))
        elif document["status"] == "failed":
            found.told.append(asker.say("not read", name=label, reason=(document["error"] or {}).get("message", "")))
        else:
            chosen.append(str(document["id"]))
    if mirror and chosen:
        found.parts.append(Part(mirror, tuple(chosen)))


def _is_document(item: dict[str, Any]) -> bool:
    kind = str(item.get("content_type") or "")
    return item.get("type") == "file" and bool(item.get("id")) and not kind.startswith(NO_DOCUMENTS)


async def _are_mirrored() -> bool:
    """Say whether the function that mirrors files is on."""
    try:
        from open_webui.models.functions import Functions  # type: ignore[import-not-found]
    except ImportError:  # the Pipelines server has none
        return False
    mirroring = await Functions.get_function_by_id(MIRRORING)
    return mirroring is not None and bool(mirroring.is_active)
