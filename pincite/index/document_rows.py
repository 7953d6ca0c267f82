"""A document ready to be written to an index."""

from dataclasses import dataclass

import pyarrow as pa

from pincite.index.account import Account


@dataclass(frozen=True, slots=True)
class DocumentRows:
    """All rows of a document, none where it has no text; `is_new` where none of it is in the table yet."""

    document_id: str
    rows: pa.Table
    account: Account
    is_new: bool
