"""What a job has to do: its sources expanded into files, each of which is a document of the knowledge base."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from pincite.catalog import Catalog
from pincite.document_indexing import DocumentKey, Origin
from pincite.errors import PinciteError
from pincite.incoming import IncomingFile, Kept, Listed, Received, SourceRequest
from pincite.records import Job, Source
from pincite.sources import SourceFile, is_git_url, listing, text_name
from pincite.store import Store

MAX_PATH_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Task:
    """A file and the document that it is."""

    key: DocumentKey
    file: IncomingFile
    source_id: str | None = None

    @property
    def origin(self) -> Origin:
        """Where the document comes from."""
        return Origin(self.source_id, self.file.fingerprint or None, self.file.link or None)


@dataclass(frozen=True, slots=True)
class Synced:
    """A source that was listed: its record from now on, its documents of before, and what could not be read."""

    source: Source
    before: dict[str, str]
    unread: tuple[str, ...]

    def vanished(self, tasks: dict[str, Task]) -> list[str]:
        """Return the ids of documents whose files are gone; of a folder that cannot be read, nobody can say that."""
        return [
            document_id
            for document_id, path in self.before.items()
            if document_id not in tasks and not path.startswith(self.unread or ("\0",))
        ]


@dataclass(slots=True)
class Plan:
    """The tasks of a job by document id, the sources they are of, and the sources that could not be listed."""

    tasks: dict[str, Task] = field(default_factory=dict)
    synced: list[Synced] = field(default_factory=list)
    failures: list[tuple[str, PinciteError]] = field(default_factory=list)


class SourceLister:
    """Expands the sources of jobs. Every call blocks; call it in a thread."""

    def __init__(self, catalog: Catalog, store: Store, max_file_bytes: int) -> None:
        self._catalog = catalog
        self._store = store
        self._max_file_bytes = max_file_bytes

    def plan(self, job: Job) -> Plan:
        """List what a job names; one that tries another again is limited to what failed in that."""
        request = job.request or {}
        plan = Plan()
        retried = request.get("retry_of")
        only = self._failed(retried) if retried else None
        for written in request["sources"]:
            source = SourceRequest.read(written)
            try:
                if source.upload:
                    task = self._upload(job.knowledge_base_id, source, retried=bool(retried))
                    plan.tasks[task.key.document_id] = task
                else:
                    self._expand(job, source, plan)
            except PinciteError as error:
                name = shown_path(source.upload) if source.upload else text_name(source.address)
                plan.failures.append((name, error))
        if only is not None:
            plan.tasks = {document_id: task for document_id, task in plan.tasks.items() if document_id in only}
            plan.synced.clear()
        return plan

    def _failed(self, job_id: str) -> set[str] | None:
        """Return the documents that failed in a job; None where a whole source did, so that everything is looked at."""
        failed = [r["document_id"] for r in self._catalog.job_results(job_id) if r["status"] == "failed"]
        job = self._catalog.job(job_id)
        whole = job is None or job.state != "done" or None in failed
        return None if whole else {document_id for document_id in failed if document_id is not None}

    def _upload(self, knowledge_base_id: str, source: SourceRequest, *, retried: bool) -> Task:
        key = upload_key(knowledge_base_id, source.upload)
        if not retried:
            return Task(key, Received(self._store.incoming / source.received))
        known = self._catalog.document(key.document_id)
        return Task(key, Kept(known.sha256 if known and known.status == "failed" else ""))

    def _expand(self, job: Job, request: SourceRequest, plan: Plan) -> None:
        source = self._source(job, request)
        found = listing(
            request.address,
            include=source.include,
            exclude=source.exclude,
            max_bytes=self._max_file_bytes,
            private_hosts=source.private_hosts,
            clone_folder=self._store.repositories / source.id,
        )
        alone = not is_git_url(request.address) and Path(request.address).expanduser().is_file()
        unread = []
        for location, file in _located(found.files, alone=alone):
            if file.path.endswith("/"):
                unread.append(file.path)
            key = DocumentKey(job.knowledge_base_id, location, file.path)
            plan.tasks[key.document_id] = Task(key, Listed(file), None if alone else source.id)
        if not alone:
            source = replace(source, revision=found.revision)
            plan.synced.append(Synced(source, self._catalog.documents_of(source.id), tuple(unread)))

    def _source(self, job: Job, request: SourceRequest) -> Source:
        address = request.address
        if not is_git_url(address):
            address = text_name(str(Path(address).expanduser().resolve()))
        identity = f"{job.knowledge_base_id}\0{address}".encode()
        source_id = f"src_{hashlib.sha256(identity).hexdigest()[:20]}"
        known = self._catalog.source(source_id) or Source(source_id, job.knowledge_base_id, address)
        private_hosts = known.private_hosts or bool((job.request or {}).get("private_hosts"))
        wanted: dict[str, Any] = {"private_hosts": private_hosts}
        for name in ("include", "exclude", "watched"):
            if (value := getattr(request, name)) is not None:
                wanted[name] = value
        return replace(known, **wanted)


def _located(files: Iterator[SourceFile], *, alone: bool) -> Iterator[tuple[str, SourceFile]]:
    """Yield the files with the location that each is known by; a source that is one file is its own location."""
    taken: set[str] = set()
    for file in files:
        location = text_name(file.source if alone else f"{file.source}/{file.path}")
        # Names are bytes to a file system: two that differ in what is no UTF-8 read the same, and are two files.
        while location in taken:
            location += "~"
        taken.add(location)
        yield location, file


def upload_key(knowledge_base_id: str, name: str) -> DocumentKey:
    """Return which document an upload of this name is."""
    path = shown_path(name)
    return DocumentKey(knowledge_base_id, f"upload/{path}", path)


def shown_path(name: str) -> str:
    """Return the name a sender gave a file as a relative path that is safe to show and to compare."""
    visible = "".join(c for c in name.replace("\\", "/") if c.isprintable())
    parts = [part for part in PurePosixPath(visible).parts if part not in {"/", "..", "."}]
    return "/".join(parts)[-MAX_PATH_LENGTH:] or "unnamed"
