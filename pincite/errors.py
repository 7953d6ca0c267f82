"""Everything that can go wrong, as one tree; each front maps it once.

PinciteError                      what failed, where, and what to do next
├── InvalidRequest                the caller asked for something that cannot be done
│   ├── EmptyQuestion
│   ├── QuestionTooLong
│   ├── InvalidResultCount        k out of range
│   ├── InvalidSettings
│   ├── NameTaken                 a knowledge base of this name exists
│   └── InvalidSource             a path or URL that cannot be read as a source
│       └── SourceVanished        more than half of its documents are gone, and none was removed
├── AccessError
│   ├── NotAuthenticated          no key, or a key nobody issued
│   └── NotPermitted              a key without the right
├── NotFound
│   ├── UnknownKnowledgeBase
│   ├── UnknownDocument
│   ├── UnknownPage
│   ├── UnknownJob
│   └── UnknownSource
├── DocumentError                 one document could not be read; the rest of its batch goes on
│   ├── EmptyDocument             no bytes, or no page
│   ├── EncryptedDocument
│   ├── CorruptDocument           also a truncated file that opens with no page
│   ├── UnsupportedFormat
│   ├── DocumentTooLarge          bytes, pages, or what they unpack to
│   └── ParseLimitExceeded        time, memory or output of the parse worker
├── IndexMismatch                 the index was built with a model, dimensions or prefix scheme that are not configured
├── IndexDamaged                  files of the index are missing or damaged
├── CatalogMismatch               the catalog was made by another version of this program
├── CatalogDamaged                the catalog's file is not a database any more
├── InvalidBackup                 not a backup, not whole, or made by a newer version
├── DataFolderBusy                another process writes this data folder
├── Overloaded                    try again later
└── BackendError                  the embedding backend failed or answered nonsense
"""

from typing import ClassVar


class PinciteError(Exception):
    """An error with a stable `code` and a message that says what, where, and what to do.

    The message must be safe to show to the caller: no secret, no document text, no path of the server.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __reduce__(self) -> tuple[type["PinciteError"], tuple[str]]:
        return type(self), (self.message,)


class InvalidRequest(PinciteError):
    code = "invalid_request"


class EmptyQuestion(InvalidRequest):
    code = "empty_question"


class QuestionTooLong(InvalidRequest):
    code = "question_too_long"


class InvalidResultCount(InvalidRequest):
    code = "invalid_result_count"


class InvalidSettings(InvalidRequest):
    code = "invalid_settings"


class NameTaken(InvalidRequest):
    code = "name_taken"


class InvalidSource(InvalidRequest):
    code = "invalid_source"


class SourceVanished(InvalidSource):
    code = "source_vanished"


class AccessError(PinciteError):
    code = "access_denied"


class NotAuthenticated(AccessError):
    code = "not_authenticated"


class NotPermitted(AccessError):
    code = "not_permitted"


class NotFound(PinciteError):
    code = "not_found"


class UnknownKnowledgeBase(NotFound):
    code = "unknown_knowledge_base"


class UnknownDocument(NotFound):
    code = "unknown_document"


class UnknownPage(NotFound):
    code = "unknown_page"


class UnknownJob(NotFound):
    code = "unknown_job"


class UnknownSource(NotFound):
    code = "unknown_source"


class DocumentError(PinciteError):
    code = "document_error"


class EmptyDocument(DocumentError):
    code = "empty_document"


class EncryptedDocument(DocumentError):
    code = "encrypted_document"


class CorruptDocument(DocumentError):
    code = "corrupt_document"


class UnsupportedFormat(DocumentError):
    code = "unsupported_format"


class DocumentTooLarge(DocumentError):
    code = "document_too_large"


class ParseLimitExceeded(DocumentError):
    code = "parse_limit_exceeded"


class IndexMismatch(PinciteError):
    code = "index_mismatch"


class IndexDamaged(PinciteError):
    code = "index_damaged"


class CatalogMismatch(PinciteError):
    code = "catalog_mismatch"


class CatalogDamaged(PinciteError):
    code = "catalog_damaged"


class InvalidBackup(PinciteError):
    code = "invalid_backup"


class DataFolderBusy(PinciteError):
    code = "data_folder_busy"


class Overloaded(PinciteError):
    code = "overloaded"


class BackendError(PinciteError):
    code = "backend_error"
