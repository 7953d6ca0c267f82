"""
title: Pincite files
author: Pincite
description: Files that people attach, or keep in Knowledge, become part of the index.
version: 0.1.0
required_open_webui_version: 0.12.0
requirements:
license: AGPL-3.0-or-later
"""

# Made by `scripts/generate` from plugin/function/; change the modules there instead.

from collections import Counter
from collections.abc import AsyncIterator
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
from pathlib import Path
from pydantic import BaseModel
from pydantic import Field
from typing import Any
from typing import Protocol
from typing import Self
import asyncio
import hashlib
import httpx
import logging
import re


# files: what the files of an Open WebUI are called in the index.

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


# openwebui: the people, files and models of an Open WebUI: what is asked of it, and the answers from inside of it.

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


# offering: the knowledge bases as models that people see: a record in Open WebUI for each, with those who may use it.

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


# wording: every sentence that a person reads in the chat, in English and in Chinese.

CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")

# Words of a function file's status lines, answers and refusals: the English one, then the Chinese one.
SENTENCES = {
    "everything": ("everything", "全部知识库"),
    "searching": ("Searching {where}…", "正在检索{where}…"),
    "knowledge bases": ("{count} knowledge bases", " {count} 个知识库"),
    "and attached": ("{where} and what is attached", "{where}和附件"),
    "reading": ("Reading {name}: {passages} so far…", "正在读取{name}：已有{passages}…"),
    "not indexed": (
        "{name} is not in Pincite's index yet, so it is left out. An administrator can look at the function that "
        "mirrors files.",
        "{name} 尚未进入 Pincite 的索引，因此未被检索。请管理员检查镜像文件的函数。",
    ),
    "not read": ("{name} could not be read: {reason}", "无法读取 {name}：{reason}"),
    "writing": ("Putting the question into context…", "正在结合上文理解问题…"),
    "found": ("{passages} from {documents}", "从{documents}中找到{passages}"),
    "a passage": ("1 passage", "1 个段落"),
    "passages": ("{count} passages", "{count} 个段落"),
    "a document": ("1 document", "1 个文档"),
    "documents": ("{count} documents", "{count} 个文档"),
    "nothing": ("Nothing relevant was found: {why}", "没有找到相关内容：{why}"),
    "nothing found": ("Nothing relevant found", "没有找到相关内容"),
    "empty_knowledge_base": (
        "there are no documents here that you may read yet.",
        "这里还没有您可以阅读的文档。",
    ),
    "below_floor": (
        "no passage of these documents comes close to the question. Other words may help, or the documents do not say.",
        "这些文档中没有与问题足够接近的段落。可以换一种问法，也可能文档里没有写到。",
    ),
    "filtered_out": ("no document passes the filter.", "没有符合筛选条件的文档。"),
    "extractive": (
        "No model is set to write answers, so these are the sentences that answer best, word for word:",
        "尚未设置用于撰写回答的模型，以下是最能回答问题的原文：",
    ),
    "extractive instead": (
        "The answering model did not answer ({reason}), so these are the sentences that answer best, word for word:",
        "回答模型没有作答（{reason}），以下是最能回答问题的原文：",
    ),
    "nearest": (
        "The documents do not seem to answer this question. The nearest passages, which may not answer it:",
        "文档中似乎没有能够回答这个问题的内容。以下是最接近的内容，但未必能够回答：",
    ),
    "nearest instead": (
        "The answering model did not answer ({reason}), and the documents do not seem to. The nearest passages, which "
        "may not answer the question:",
        "回答模型没有作答（{reason}），文档中似乎也没有能够回答这个问题的内容。以下是最接近的内容，但未必能够回答：",
    ),
    "model failed": ("it failed", "出错"),
    "model empty": ("it wrote nothing", "没有写出任何内容"),
    "model slow": ("it took too long", "超时"),
    "model refused": ("it is not there, or you may not use it", "它不存在，或您无权使用"),
    "checked": ("Checked against the passages:", "已对照所引段落核查："),
    "unsupported": ("⚠ not supported by the passages: “{words}”", "⚠ 所引段落不支持：“{words}”"),
    "repaired": ("supported by {references}: “{words}”", "由 {references} 支持：“{words}”"),
    "more findings": ("and {count} more", "另有 {count} 处"),
    "checking": ("Checking the sentences against the passages…", "正在对照所引段落核查各句…"),
    "all supported": ("{found} · every sentence is supported", "{found}，各句均有依据"),
    "look below": ("{found} · see what the check found, below the answer", "{found}，核查结果见回答末尾"),
    "unchecked": ("Its sentences could not be checked against the passages.", "未能对照所引段落核查各句。"),
    "cut off": ("The answering model stopped in mid-answer ({reason}).", "回答模型中途停止（{reason}）。"),
    "restarted": ("Open WebUI was restarted in mid-answer. Ask again.", "Open WebUI 在回答中途重启。请重新提问。"),
    "no question": ("There is no question to search for.", "没有可以检索的问题。"),
    "unreachable": (
        "Pincite cannot be reached, so the documents could not be searched. An administrator should check that its "
        "server is running.",
        "无法连接 Pincite，文档未能检索。请管理员确认其服务正在运行。",
    ),
    "slow": (
        "Pincite did not answer within {seconds} seconds, so the documents could not be searched. Try again later.",
        "Pincite 在 {seconds} 秒内没有响应，文档未能检索。请稍后再试。",
    ),
    "not_authenticated": (
        "Pincite does not accept this plugin's key. An administrator should set a valid one in the function's valves.",
        "Pincite 不接受此插件的密钥。请管理员在函数的阀门设置中填入有效的密钥。",
    ),
    "unknown_knowledge_base": (
        "This knowledge base is not there any more, or you may not read it.",
        "该知识库已不存在，或您无权阅读。",
    ),
    "overloaded": ("Pincite is busy. Try again in a moment.", "Pincite 正忙，请稍后再试。"),
    "question_too_long": (
        "The question is too long to search for. Ask it in fewer words.",
        "问题过长，无法检索。请缩短后再问。",
    ),
    "other": (
        "Pincite could not search the documents ({code}). An administrator finds the reason in its log.",
        "Pincite 未能检索文档（{code}）。管理员可在其日志中查到原因。",
    ),
    "page": ("{name}, p. {page}", "{name}，第 {page} 页"),
    "section": ("{name}, {section}", "{name}，{section}"),
}


def language_of(text: str, wanted: str = "auto") -> str:
    """Return "en" or "zh": the one that is wanted, else the one that `text` is written in."""
    if wanted in {"en", "zh"}:
        return wanted
    return "zh" if CHINESE.search(text) else "en"


def say(language: str, sentence: str, **values: object) -> str:
    """Return one of the sentences, filled in."""
    english, chinese = SENTENCES[sentence]
    return (chinese if language == "zh" else english).format(**values)


def counted(language: str, one: str, several: str, count: int) -> str:
    """Return a number of things, such as "1 passage" or "5 passages"."""
    return say(language, one) if count == 1 else say(language, several, count=count)


# interrupted: answers that a restart of Open WebUI cut off: without a word they would look as if they were still being written.

# A model cannot have been asked more at once; answers that were cut off before have been told so.
LATEST = 200


async def tell_interrupted() -> None:
    """Say below each unfinished answer of our models that it will not go on. Only for the start of Open WebUI."""
    from open_webui.models.chat_messages import ChatMessages  # type: ignore[import-not-found]
    from open_webui.models.chats import Chats  # type: ignore[import-not-found]

    for model in await own_models(Inside()):
        for message in await ChatMessages.get_messages_by_model_id(model["id"], limit=LATEST):
            if message.role != "assistant" or message.done:
                continue
            sentence = say(language_of(str(message.content or message.output or "")), "restarted")
            identifier = message.id.removeprefix(f"{message.chat_id}-")
            told = {"error": {"content": sentence}, "done": True}
            await Chats.upsert_message_to_chat_by_id_and_message_id(message.chat_id, identifier, told)


# storing: keeps documents on a Pincite server, with a key that may administer it.

STORE_TIMEOUT_S = 120.0


class StoreFailure(Exception):
    """Pincite refused or does not answer; the message is its own."""


class Store:
    """The server at `url`; used inside `async with`."""

    def __init__(self, url: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"), headers=headers, timeout=STORE_TIMEOUT_S, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def knowledge_bases(self) -> list[dict[str, Any]]:
        """Return all knowledge bases."""
        listed: list[dict[str, Any]] = await self._ask("GET", "/api/knowledge-bases")
        return listed

    async def make(self, name: str, readers: list[str]) -> dict[str, Any]:
        """Make a knowledge base and return it."""
        form = {"name": name, "settings": {"readers": readers}}
        made: dict[str, Any] = await self._ask("POST", "/api/knowledge-bases", form)
        return made

    async def let_read(self, knowledge_base: str, readers: list[str]) -> None:
        """Change who may read a knowledge base, which is named by its id."""
        await self._ask("PATCH", f"/api/knowledge-bases/{knowledge_base}", {"settings": {"readers": readers}})

    async def drop(self, knowledge_base: str) -> None:
        """Remove a knowledge base with its documents."""
        await self._ask("DELETE", f"/api/knowledge-bases/{knowledge_base}")

    async def documents(self, knowledge_base: str) -> dict[str, dict[str, Any]]:
        """Return the documents of a knowledge base by path."""
        listed = await self._ask("GET", f"/api/knowledge-bases/{knowledge_base}/documents")
        return {document["path"]: document for document in listed}

    async def remove(self, knowledge_base: str, document: str) -> None:
        """Remove a document."""
        await self._ask("DELETE", f"/api/knowledge-bases/{knowledge_base}/documents/{document}")

    async def add(self, knowledge_base: str, path: str, content: bytes) -> str:
        """Index a file and return what became of it: its status, or the reason why it could not be read."""
        base = f"/api/knowledge-bases/{knowledge_base}/documents"
        job = await self._ask("POST", base, files=[("files", (path, content))])
        async for _ in self._lines(f"/api/jobs/{job['id']}/events"):  # it ends with the job
            pass
        job = await self._ask("GET", f"/api/jobs/{job['id']}")
        if not job["results"]:
            return str((job["error"] or {}).get("message", job["state"]))
        result = job["results"][0]
        return str(result["error"]["message"] if result["error"] else result["status"])

    async def _lines(self, path: str) -> AsyncIterator[str]:
        try:
            async with self._http.stream("GET", path, timeout=None) as events:
                async for line in events.aiter_lines():
                    yield line
        except httpx.HTTPError:
            raise StoreFailure("The Pincite server stopped answering while it indexed a document.") from None

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, files: Any = None) -> Any:
        try:
            answer = await self._http.request(method, path, json=body, files=files)
            told = answer.json() if answer.content else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            raise StoreFailure("The Pincite server does not answer; is it running?") from None
        if answer.is_success:
            return told
        raise StoreFailure(str(told.get("detail")) if isinstance(told, dict) else f"Pincite refused {method} {path}.")


# mirroring: mirrors the files of an Open WebUI into knowledge bases: the collections of its Knowledge, and what is attached.

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


# event: the Event function: files that people attach, or put into Open WebUI's Knowledge, become part of the index.

LOG = logging.getLogger("pincite")
EVERY_COLLECTION = "*"
LOOK_AGAIN_S = 0.5
LONGEST_READING_S = 3600.0
# Between two tries while Pincite is away; then the next event, the next start or `pincite openwebui sync` repairs it.
PAUSES_S = (2.0, 10.0, 60.0, 300.0)
# With these it changes who may read what.
PEOPLE = {"user.created", "user.updated", "user.deleted", "user.role_updated", "group.updated", "group.deleted"}
STARTED = "system.startup.completed"
SET_UP = "function.valves_updated"
# A person took away what is missing after these; after others it may be missing by mistake.
MEANT = (".deleted", ".deleted_all", ".removed", ".reset")

Work = Callable[[Mirror], AsyncIterator[str]]


class Event:
    """What Open WebUI loads and tells of everything that happens there."""

    class Valves(BaseModel):
        """What an administrator sets."""

        pincite_url: str = Field(default="http://127.0.0.1:7861", description="Address of the Pincite server.")
        pincite_key: str = Field(
            default="",
            description="API key of the Pincite server, with the admin scope, as knowledge bases are made. Without it "
            "nothing is mirrored.",
            json_schema_extra={"input": {"type": "password"}},
        )
        attachments: bool = Field(
            default=True, description="Index what people attach to their chats; nobody else can search it."
        )
        collections: str = Field(
            default=EVERY_COLLECTION,
            description="Collections of Knowledge to mirror, by name, separated by commas; *: all; empty: none.",
        )

    def __init__(self) -> None:
        self.valves = self.Valves()
        self._turns: dict[tuple[object, ...], asyncio.Lock] = {}
        self._waiting: set[tuple[object, ...]] = set()

    async def event(self, event: dict[str, Any], __id__: str = "") -> None:
        """Follow an event, if it is about files, collections or people, or about this function itself."""
        name, data = str(event.get("event")), event.get("data") or {}
        subject = str((event.get("subject") or {}).get("id") or "")
        if name == STARTED:
            await tell_interrupted()
        if not self.valves.pincite_key:
            return
        if name == "file.uploaded":
            await self._uploaded(subject)
        elif name in PEOPLE or name == STARTED or (name == SET_UP and subject == __id__):
            await self._collections()
            await self._attachments()
            if name in PEOPLE:
                await self._once("models", None, self._models)
        elif name.startswith("file."):
            await self._attachments()
            await self._collections(meant=name.endswith(MEANT))
        elif name.startswith("knowledge."):
            whole = name in {"knowledge.deleted", "knowledge.reindexed"}
            changed = None if whole else str(data.get("knowledge_id") or subject)
            await self._collections(changed, meant=name.endswith(MEANT))
            await self._attachments()

    async def _uploaded(self, file_id: str) -> None:
        file = await Inside().upload(file_id)
        if file is not None and file["collection_id"] is None:
            await self._attachments(str(file["user_id"]))
            return
        # Open WebUI reads it first, and only then puts it into its collection, without a word.
        async with asyncio.timeout(LONGEST_READING_S):
            while file is not None and file["status"] not in {"completed", "failed"}:
                await asyncio.sleep(LOOK_AGAIN_S)
                file = await Inside().upload(file_id)
        if file is not None:
            await self._collections(str(file["collection_id"]))

    async def _attachments(self, user_id: str | None = None) -> None:
        if self.valves.attachments:
            await self._once("attachments", user_id, lambda mirror: mirror.attachments(user_id))

    async def _collections(self, changed: str | None = None, *, meant: bool = False) -> None:
        """Bring one collection up to date, named by its id, or all that are to be mirrored."""
        chosen = [name.strip() for name in self.valves.collections.split(",") if name.strip()]
        if not chosen:
            return
        names = [] if EVERY_COLLECTION in chosen else chosen
        if changed is not None:
            found = [each["name"] for each in await Inside().collections() if each["id"] == changed]
            names = [name for name in found if not names or name in names]
            if not names:
                return
        await self._once("collections", (*names, meant), lambda mirror: mirror.collections(names, force=meant))

    async def _models(self, mirror: Mirror) -> AsyncIterator[str]:
        async for line in offer(Inside(), await mirror.store.knowledge_bases()):
            yield line

    async def _once(self, kind: str, what: object, work: Work) -> None:
        """Do a piece of work, once at a time; where it waits already, it will see this change as well."""
        if (kind, what) in self._waiting:
            return
        self._waiting.add((kind, what))
        async with self._turns.setdefault((kind, what), asyncio.Lock()):
            self._waiting.discard((kind, what))
            for pause_s in (*PAUSES_S, None):
                try:
                    async with Store(self.valves.pincite_url, self.valves.pincite_key) as store:
                        async for line in work(Mirror(Inside(), store)):
                            LOG.info("Pincite: %s", line)
                    return
                except StoreFailure as failure:
                    LOG.warning("Pincite could not follow Open WebUI's files: %s", failure)
                if pause_s is not None:
                    await asyncio.sleep(pause_s)
