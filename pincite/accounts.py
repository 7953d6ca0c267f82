"""What went in of each document and what came out, so that nothing is lost unseen: pages, characters, tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pincite.records import SERVED, DocumentRecord

MEND = "`pincite doctor --repair` mends it"


@dataclass(frozen=True, slots=True)
class DocumentAccount:
    """Of one document: what there was, what became of it, and a sentence for each two numbers that should be one.

    Pages are with text, without, or failed. `characters` are those that are not white space. Counts that are None were
    not made: by an older version, or because the index does not answer.
    """

    document_id: str
    path: str
    status: str
    pages: int
    pages_with_text: int
    pages_without_text: int
    pages_failed: int
    characters: int | None
    characters_in_passages: int | None
    tokens: int | None
    tokens_embedded: int | None
    passages: int
    passages_in_index: int | None
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums over all documents of a knowledge base, and the documents of which something does not add up.

    `strays` are passages in the index of documents that are not in the catalog.
    """

    documents: int
    failed: int
    pages: int
    pages_with_text: int
    pages_without_text: int
    pages_failed: int
    characters: int
    characters_in_passages: int
    tokens: int
    tokens_embedded: int
    passages: int
    passages_in_index: int | None
    not_counted: int
    strays: int
    differing: list[DocumentAccount] = field(default_factory=list)

    @property
    def adds_up(self) -> bool:
        """Whether everything that was read can be found."""
        return not self.differing and not self.strays


def account_of(record: DocumentRecord, indexed: Mapping[str, int] | None) -> DocumentAccount:
    """Return a document's account; `indexed` are the passages in the index by document, None where it does not answer.

    A document that is being indexed at this moment is not compared with the index.
    """
    with_text = record.pages - record.pages_without_text - record.pages_failed
    changing = record.status in SERVED and not record.recipe
    there = None if indexed is None or changing else indexed.get(record.id, 0)
    differences = []
    if with_text < 0:
        differences.append(f"more pages without text or failed than the {record.pages} there are")
    pairs = (
        ("characters", record.characters, record.characters_in_passages, "are in passages"),
        ("tokens", record.tokens, record.tokens_embedded, "were embedded"),
        ("passages", record.passages, there, "are in the index"),
    )
    for what, wanted, found, where in pairs:
        if wanted is not None and found is not None and wanted != found:
            differences.append(f"{found:,} of {wanted:,} {what} {where}; {MEND}")
    return DocumentAccount(
        document_id=record.id,
        path=record.path,
        status=record.status,
        pages=record.pages,
        pages_with_text=with_text,
        pages_without_text=record.pages_without_text,
        pages_failed=record.pages_failed,
        characters=record.characters,
        characters_in_passages=record.characters_in_passages,
        tokens=record.tokens,
        tokens_embedded=record.tokens_embedded,
        passages=record.passages,
        passages_in_index=there,
        differences=tuple(differences),
    )


def totals(accounts: Sequence[DocumentAccount], indexed: Mapping[str, int] | None) -> Totals:
    """Return the sums of accounts and what of them does not add up."""
    known = {account.document_id for account in accounts}
    return Totals(
        documents=len(accounts),
        failed=sum(account.status == "failed" for account in accounts),
        pages=sum(account.pages for account in accounts),
        pages_with_text=sum(account.pages_with_text for account in accounts),
        pages_without_text=sum(account.pages_without_text for account in accounts),
        pages_failed=sum(account.pages_failed for account in accounts),
        characters=sum(account.characters or 0 for account in accounts),
        characters_in_passages=sum(account.characters_in_passages or 0 for account in accounts),
        tokens=sum(account.tokens or 0 for account in accounts),
        tokens_embedded=sum(account.tokens_embedded or 0 for account in accounts),
        passages=sum(account.passages for account in accounts),
        passages_in_index=None if indexed is None else sum(indexed.values()),
        not_counted=sum(account.characters is None and account.status in SERVED for account in accounts),
        strays=0 if indexed is None else sum(count for name, count in indexed.items() if name not in known),
        differing=[account for account in accounts if account.differences],
    )
