"""What `pincite doctor` finds: per knowledge base, whether index and catalog agree; per document, what has no text."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pincite.access import Principal
from pincite.accounts import MEND, DocumentAccount, Totals, account_of
from pincite.catalog import DAMAGED
from pincite.errors import PinciteError
from pincite.records import DocumentRecord, KnowledgeBase
from pincite.repairing import Damage
from pincite.settings import Settings

if TYPE_CHECKING:
    from pincite.workspace import Workspace


OUTDATED = (
    "its index was built with another model, dimensions or chunk size than its settings ask for; it is being built "
    "anew, or will be when the server starts"
)


@dataclass(frozen=True, slots=True)
class DocumentFinding:
    """Of one document: pages with text, without, and failed; its passages; and what a reader should know."""

    path: str
    status: str
    pages_with_text: int
    pages_without_text: int
    pages_failed: int
    passages: int
    reasons: list[str]
    passages_in_index: int | None = None
    characters: int | None = None
    characters_in_passages: int | None = None
    tokens: int | None = None
    tokens_embedded: int | None = None
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Of one knowledge base: passages by the catalog and in the index, or why the index does not answer."""

    knowledge_base: str
    passages: int
    indexed_passages: int | None
    problem: str | None
    documents: list[DocumentFinding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_broken(self) -> bool:
        """Whether something that was added cannot be found."""
        return self.problem is not None or any(
            document.status == "failed" or document.differences for document in self.documents
        )

    def shape(self) -> dict[str, Any]:
        """Return the finding as JSON-like values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the finding for a person."""
        lines = [f"{self.knowledge_base}: {len(self.documents)} documents, {self.passages} passages"]
        if self.problem is not None:
            lines.append(f"  ! {self.problem}")
        lines += [f"  {note}" for note in self.notes]
        if not self.documents:
            lines.append("  ! it is empty; `pincite add` adds documents")
        for document in self.documents:
            lines.append(f"  {document.path}: {document.status}, {_pages(document)}{document.passages} passages")
            lines += [f"      {reason}" for reason in document.reasons]
        return lines


@dataclass(frozen=True, slots=True)
class BackendFinding:
    """Of one model in use: the `backend` it runs on, and why it cannot be used, if so."""

    backend: str
    model: str | None
    dimensions: int | None
    problem: str | None

    @property
    def is_broken(self) -> bool:
        """Whether it cannot be used."""
        return self.problem is not None

    def shape(self) -> dict[str, Any]:
        """Return the finding as JSON-like values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the finding for a person."""
        name = "the reranker" if self.backend == "reranker" else f"the {self.backend} embedding model"
        told = f" {self.model}" if self.model else ""
        size = f", {self.dimensions} dimensions" if self.dimensions else ""
        return [f"{name}{told}{size}: {'answers' if self.problem is None else f'! {self.problem}'}"]


@dataclass(frozen=True, slots=True)
class ParserFinding:
    """What the kernel of this machine keeps parser processes from: `network`, `reading`, `writing`, `programs`."""

    confined: dict[str, bool]

    @property
    def is_broken(self) -> bool:
        """Never: documents are parsed without it too."""
        return False

    def shape(self) -> dict[str, Any]:
        """Return the finding as JSON-like values."""
        return {"parsers": self.confined}

    def lines(self) -> list[str]:
        """Return the finding for a person."""
        names = {
            "network": "the network",
            "reading": "reading other files",
            "writing": "writing files",
            "programs": "other programs",
        }
        held = ", ".join(name for what, name in names.items() if self.confined.get(what))
        free = ", ".join(name for what, name in names.items() if not self.confined.get(what))
        lines = [f"the parsers: kept by the kernel from {held}"] if held else []
        if free:
            lines.append(
                f"the parsers: ! this machine's kernel does not keep them from {free}; a Linux of 5.13 or newer on "
                "x86_64 or aarch64, whose container allows Landlock and seccomp, does"
            )
        return lines


@dataclass(frozen=True, slots=True)
class FolderFinding:
    """Of the data folder: whether its catalog is sound, and what in it belongs to nothing."""

    catalog: bool
    files: int
    size: int
    tables: tuple[str, ...]

    @property
    def is_broken(self) -> bool:
        """Whether something is lost: what is left over is in nobody's way."""
        return not self.catalog

    def shape(self) -> dict[str, Any]:
        """Return the finding as JSON-like values."""
        return {"data_folder": asdict(self)}

    def lines(self) -> list[str]:
        """Return the finding for a person."""
        if not self.catalog:
            return [f"the data folder: ! {DAMAGED}"]
        megabytes = f"{self.size / 1_000_000:,.1f} MB"
        return [
            f"the data folder: {self.files} files ({megabytes}) and {len(self.tables)} tables of the index belong to "
            "nothing; the next start of the server removes them, and so does --repair where none runs"
        ]


AnyFinding = Finding | BackendFinding | FolderFinding | ParserFinding


async def diagnose(settings: Settings, kb: str | None) -> list[AnyFinding]:
    """Look at the model servers, and at one knowledge base or at all, whether a server runs on the folder or not.

    The data folder is read directly. Where no model server is configured or asked for, no model is loaded. How parsers
    are confined comes last, where all knowledge bases are looked at.

    Raises:
        UnknownKnowledgeBase: there is none of this name.
    """
    from pincite.workspace import Workspace

    who = Principal.system()
    async with Workspace(settings, read_only=True) as workspace:
        chosen = await workspace.knowledge_bases(who) if kb is None else [await workspace.knowledge_base(who, kb)]
        hosted = any(found.settings.embedding_model == "hosted" or found.settings.rerank for found in chosen)
        backends: list[AnyFinding] = []
        if hosted or settings.embedding_url or settings.reranker_url:
            backends += [_backend(known) for known in await workspace.check_backends()]
        examined = [await _examine(workspace, who, found) for found in chosen]
        rest = [*await _folder(workspace, who), await _parsers()] if kb is None else []
        return [*backends, *examined, *rest]


async def _folder(workspace: "Workspace", who: Principal) -> list[AnyFinding]:
    """Return a finding where there is something to say."""
    left = await workspace.leftovers(who)
    if left is None:
        return [FolderFinding(catalog=False, files=0, size=0, tables=())]
    found = bool(left.files or left.tables)
    return [FolderFinding(catalog=True, files=left.files, size=left.size, tables=left.tables)] if found else []


async def _parsers() -> ParserFinding:
    from pincite.parsing.worker import ParserPool

    pool = ParserPool(1)
    try:
        return ParserFinding(await pool.confined())
    finally:
        await pool.close()


def _backend(known: dict[str, Any]) -> BackendFinding:
    problem = None if known["state"] == "ok" else known["state"]
    return BackendFinding(known["backend"], known.get("model"), known.get("dimensions"), problem)


async def _examine(workspace: "Workspace", who: Principal, kb: KnowledgeBase) -> Finding:
    indexed: int | None = None
    notes = []
    accounts: dict[str, DocumentAccount] = {}
    damage = await workspace.damage(who, kb.id)
    problem = "; ".join(damage.lines()) or None
    if not (damage.unreadable or damage.missing):
        try:
            if await workspace.is_outdated(who, kb.id):
                notes.append(OUTDATED)
            of_each, sums = await workspace.accounts(who, kb.id)
        except PinciteError as error:
            problem = problem or error.message
        else:
            indexed = sums.passages_in_index
            if indexed != kb.passages:
                other = f"the index holds {indexed} passages, the catalog counts {kb.passages}"
                problem = problem or f"{other}; a job may be running, otherwise {MEND}"
            accounts = {account.document_id: account for account in of_each}
            notes.append(_sums(sums))
    documents = [_document(record, accounts.get(record.id), damage) for record in await workspace.documents(who, kb.id)]
    return Finding(kb.name, kb.passages, indexed, problem, documents, notes)


def _sums(sums: Totals) -> str:
    """Return in a line what went in and what came out."""
    sentence = (
        f"{sums.pages:,} pages: {sums.pages_with_text:,} with text, {sums.pages_without_text:,} without, "
        f"{sums.pages_failed:,} failed; {sums.characters_in_passages:,} of {sums.characters:,} characters in passages, "
        f"{sums.tokens_embedded:,} of {sums.tokens:,} tokens embedded"
    )
    return sentence + (
        f"; {sums.not_counted} documents are of a version that did not count" if sums.not_counted else ""
    )


def _document(record: DocumentRecord, account: DocumentAccount | None, damage: Damage) -> DocumentFinding:
    reasons = [str(warning["message"]) for warning in record.warnings]
    if record.error is not None:
        older = "" if record.status == "failed" else " (an older version is searchable)"
        reasons.insert(0, record.error["message"] + older)
    elif not record.passages:
        reasons.insert(0, "nothing of it can be found: it has no text")
    account = account or account_of(record, None)
    differences = list(account.differences)
    if record.id in damage.originals:
        differences.append(f"its original is missing or damaged; {MEND} where the file it came from is still there")
    if record.id in damage.parses:
        differences.append(f"its stored text and pages are missing or damaged; {MEND} from the original")
    reasons += [f"! {difference}" for difference in differences]
    return DocumentFinding(
        path=record.path,
        status=record.status,
        pages_with_text=account.pages_with_text,
        pages_without_text=record.pages_without_text,
        pages_failed=record.pages_failed,
        passages=record.passages,
        reasons=reasons,
        passages_in_index=account.passages_in_index,
        characters=record.characters,
        characters_in_passages=record.characters_in_passages,
        tokens=record.tokens,
        tokens_embedded=record.tokens_embedded,
        differences=tuple(differences),
    )


def _pages(document: DocumentFinding) -> str:
    counts = (
        (document.pages_with_text, "pages with text"),
        (document.pages_without_text, "without"),
        (document.pages_failed, "failed"),
    )
    return "".join(f"{count} {name}, " for count, name in counts if count)
