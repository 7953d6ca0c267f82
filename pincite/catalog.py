"""The catalog: a SQL database of knowledge bases, documents, keys and jobs. Every call blocks; call it in a thread."""

import dataclasses
import re
import uuid
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, create_engine, delete, event, func, inspect, or_, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError
from sqlalchemy.orm import sessionmaker
from sqlalchemy.pool import StaticPool

from pincite.catalog_jobs import JobCatalog
from pincite.catalog_schema import (
    SCHEMA_VERSION,
    ApiKeyRow,
    Base,
    BuiltDocumentRow,
    DocumentRow,
    JobResultRow,
    JobRow,
    KnowledgeBaseRow,
    MetaRow,
    PersonRow,
    SourceRow,
)
from pincite.catalog_sources import SourceCatalog
from pincite.errors import CatalogDamaged, CatalogMismatch, InvalidSettings, NameTaken
from pincite.people import Person
from pincite.records import ApiKey, DocumentRecord, KnowledgeBase
from pincite.settings import KnowledgeBaseSettings

BUSY_TIMEOUT_S = 30
IN_MEMORY = "sqlite://"
DAMAGED = "The catalog is damaged and cannot be read; restore the data folder from a backup with `pincite restore`."
GENERATED_ID = re.compile(r"[a-z]+_[0-9a-f]{20}")


def new_id(kind: str) -> str:
    """Return a fresh id such as `kb_3f…`."""
    return f"{kind}_{uuid.uuid4().hex[:20]}"


class Catalog(JobCatalog, SourceCatalog):
    """One open catalog, safe to use from several threads and, by the database's own locks, from several processes."""

    def __init__(self, url: str) -> None:
        """Open the catalog at a database URL, making its tables in an empty database.

        Raises:
            CatalogMismatch: it was made by another version of this program.
            InvalidSettings: the database cannot be reached or its driver is missing.
            CatalogDamaged: its file is not a database any more.
        """
        self._engine = _engine(url)
        self._sessions = sessionmaker(self._engine, expire_on_commit=False)
        try:
            self._check_schema()
        except OperationalError as error:
            self._engine.dispose()
            raise InvalidSettings(
                f"The catalog cannot be opened ({type(error.orig).__name__}); "
                "check PINCITE_CATALOG_URL and PINCITE_DATA."
            ) from None
        except DatabaseError:
            self._engine.dispose()
            raise CatalogDamaged(DAMAGED) from None

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _check_schema(self) -> None:
        # Tables and columns that a newer program knows are added to an older catalog; nothing that is there changes.
        missing = _missing_columns(self._engine)
        if missing is None:
            Base.metadata.create_all(self._engine)
        for statement in missing if missing is not None else _missing_columns(self._engine) or ():
            with self._engine.begin() as connection:
                connection.exec_driver_sql(statement)
        with self._sessions.begin() as session:
            version = session.get(MetaRow, "schema_version")
            if version is None:
                session.add(MetaRow(key="schema_version", value=str(SCHEMA_VERSION)))
            elif version.value != str(SCHEMA_VERSION):
                raise CatalogMismatch(
                    f"The catalog has schema {version.value}, this program needs {SCHEMA_VERSION}; "
                    "use the program that made it, or another data folder."
                )

    # Knowledge bases

    def create_knowledge_base(self, name: str, settings: KnowledgeBaseSettings) -> KnowledgeBase:
        """Make a knowledge base.

        Raises:
            NameTaken: there is one of this name.
        """
        identifier = new_id("kb")
        row = KnowledgeBaseRow(
            id=identifier,
            name=name,
            settings=settings.model_dump(mode="json"),
            index_table=f"{identifier}_1",
            created_at=datetime.now(UTC),
        )
        try:
            with self._sessions.begin() as session:
                session.add(row)
        except IntegrityError:
            raise NameTaken(f"There is already a knowledge base named “{name}”; choose another name.") from None
        return _knowledge_base(row, 0, 0)

    def knowledge_bases(self) -> list[KnowledgeBase]:
        """Return all knowledge bases by name."""
        with self._sessions() as session:
            return [
                _knowledge_base(*found) for found in session.execute(_KNOWLEDGE_BASES.order_by(KnowledgeBaseRow.name))
            ]

    def knowledge_base(self, id_or_name: str) -> KnowledgeBase | None:
        """Return one knowledge base by its id or its name."""
        wanted = or_(KnowledgeBaseRow.id == id_or_name, KnowledgeBaseRow.name == id_or_name)
        with self._sessions() as session:
            found = session.execute(_KNOWLEDGE_BASES.where(wanted)).first()
            return _knowledge_base(*found) if found else None

    def serving(self, identifier: str) -> KnowledgeBase | None:
        """Return a knowledge base by its id, without counting its documents."""
        with self._sessions() as session:
            row = session.get(KnowledgeBaseRow, identifier)
            return _knowledge_base(row, 0, 0) if row else None

    def update_settings(self, identifier: str, settings: KnowledgeBaseSettings) -> None:
        """Replace the settings of a knowledge base."""
        change = update(KnowledgeBaseRow).where(KnowledgeBaseRow.id == identifier)
        with self._sessions.begin() as session:
            session.execute(change.values(settings=settings.model_dump(mode="json")))

    def swap_generation(self, identifier: str, table: str, records: Iterable[DocumentRecord]) -> None:
        """Let another index table serve, with the records of the documents in it, in one transaction."""
        change = update(KnowledgeBaseRow).where(KnowledgeBaseRow.id == identifier)
        with self._sessions.begin() as session:
            session.execute(change.values(index_table=table))
            for record in records:
                session.merge(_row(record))
            session.execute(delete(BuiltDocumentRow).where(BuiltDocumentRow.generation == table))

    def delete_knowledge_base(self, identifier: str) -> None:
        """Delete a knowledge base, its documents and its jobs."""
        with self._sessions.begin() as session:
            jobs = select(JobRow.id).where(JobRow.knowledge_base_id == identifier)
            session.execute(delete(JobResultRow).where(JobResultRow.job_id.in_(jobs)))
            session.execute(delete(JobRow).where(JobRow.knowledge_base_id == identifier))
            session.execute(delete(DocumentRow).where(DocumentRow.knowledge_base_id == identifier))
            session.execute(delete(SourceRow).where(SourceRow.knowledge_base_id == identifier))
            ours = BuiltDocumentRow.generation.startswith(f"{identifier}_", autoescape=True)
            session.execute(delete(BuiltDocumentRow).where(ours))
            session.execute(delete(KnowledgeBaseRow).where(KnowledgeBaseRow.id == identifier))

    # Documents

    def documents(self, knowledge_base_id: str) -> list[DocumentRecord]:
        """Return the documents of a knowledge base by path."""
        query = select(DocumentRow).where(DocumentRow.knowledge_base_id == knowledge_base_id)
        with self._sessions() as session:
            return [_document(row) for row in session.scalars(query.order_by(DocumentRow.path, DocumentRow.id))]

    def document(self, identifier: str) -> DocumentRecord | None:
        """Return one document."""
        with self._sessions() as session:
            row = session.get(DocumentRow, identifier)
            return _document(row) if row else None

    def documents_by_id(self, identifiers: Collection[str]) -> dict[str, DocumentRecord]:
        """Return those of the documents that there are, by id."""
        query = select(DocumentRow).where(DocumentRow.id.in_(identifiers))
        with self._sessions() as session:
            return {row.id: _document(row) for row in session.scalars(query)}

    def put_document(self, record: DocumentRecord) -> None:
        """Write a document's record, replacing an earlier one."""
        with self._sessions.begin() as session:
            session.merge(_row(record))

    def finish_document(
        self, record: DocumentRecord, job_id: str, result: tuple[int, dict[str, Any]], generation: str = ""
    ) -> None:
        """Write a document's record and its result, with the result's ordinal, in one transaction.

        With `generation`, the record is kept for the time when that table serves.
        """
        ordinal, shown = result
        with self._sessions.begin() as session:
            if generation:
                kept = _written(record)
                session.merge(BuiltDocumentRow(generation=generation, document_id=record.id, record=kept))
            else:
                session.merge(_row(record))
            session.add(JobResultRow(job_id=job_id, ordinal=ordinal, result=shown))

    def built_documents(self, generation: str) -> dict[str, DocumentRecord]:
        """Return the records of the documents in a table that does not serve yet, by id."""
        query = select(BuiltDocumentRow.record).where(BuiltDocumentRow.generation == generation)
        with self._sessions() as session:
            records = [_read(written) for written in session.scalars(query)]
        return {record.id: record for record in records}

    def forget_built(self, generation: str) -> None:
        """Forget the documents of a table that will never serve."""
        with self._sessions.begin() as session:
            session.execute(delete(BuiltDocumentRow).where(BuiltDocumentRow.generation == generation))

    def delete_document(self, identifier: str) -> None:
        """Delete a document's record."""
        with self._sessions.begin() as session:
            session.execute(delete(DocumentRow).where(DocumentRow.id == identifier))

    def is_referenced(self, *, sha256: str = "", parsed: str = "") -> bool:
        """Say whether any document refers to an original or a stored parse; a failed one to what was uploaded."""
        wanted = DocumentRow.sha256 == sha256 if sha256 else DocumentRow.parsed == parsed
        query = select(DocumentRow.id).where(wanted, _KEEPS_ITS_FILE).limit(1)
        with self._sessions() as session:
            return session.execute(query).first() is not None

    def references(self) -> tuple[set[str], set[str]]:
        """Return the SHA-256 of every original and the name of every stored parse that is referred to."""
        query = select(DocumentRow.sha256, DocumentRow.parsed).where(_KEEPS_ITS_FILE)
        with self._sessions() as session:
            pairs = session.execute(query).all()
            built = [_read(written) for written in session.scalars(select(BuiltDocumentRow.record))]
        originals = {sha256 for sha256, _ in pairs} | {record.sha256 for record in built}
        parses = {parsed for _, parsed in pairs} | {record.parsed for record in built}
        return originals - {""}, parses - {""}

    # Keys

    def put_api_key(self, key: ApiKey, key_hash: str) -> None:
        """Store an issued key by its hash."""
        known = None if key.knowledge_bases is None else sorted(key.knowledge_bases)
        with self._sessions.begin() as session:
            session.add(
                ApiKeyRow(
                    id=key.id,
                    name=key.name,
                    hash=key_hash,
                    scopes=sorted(key.scopes),
                    knowledge_bases=known,
                    created_at=key.created_at,
                )
            )

    def api_keys(self) -> list[ApiKey]:
        """Return the issued keys, oldest first."""
        with self._sessions() as session:
            return [_api_key(row) for row in session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.created_at))]

    def api_key(self, *, key_hash: str = "", identifier: str = "") -> ApiKey | None:
        """Return an issued key by its hash or its id."""
        wanted = ApiKeyRow.hash == key_hash if key_hash else ApiKeyRow.id == identifier
        with self._sessions() as session:
            row = session.scalars(select(ApiKeyRow).where(wanted)).first()
            return _api_key(row) if row else None

    def delete_api_key(self, identifier: str) -> bool:
        """Take a key back; False if there was none."""
        with self._sessions.begin() as session:
            row = session.get(ApiKeyRow, identifier)
            if row is not None:
                session.delete(row)
            return row is not None

    # People

    def known_person(self, key_id: str, person: Person) -> str:
        """Return the id of a person that the program with this key vouches for, and keep what is new about them."""
        same = select(PersonRow).where(PersonRow.key_id == key_id, PersonRow.subject == person.subject)
        with self._sessions() as session:
            found = session.scalars(same).first()
            if found is not None and _person(found) == person:
                return found.id
        told = {"name": person.name, "email": person.email, "groups": list(person.groups)}
        try:
            with self._sessions.begin() as session:
                row = session.scalars(same).first()
                if row is None:
                    row = PersonRow(id=new_id("person"), key_id=key_id, subject=person.subject, **told)
                    session.add(row)
                else:
                    for name, value in told.items():
                        setattr(row, name, value)
                return row.id
        except IntegrityError:  # another question of theirs came at the same moment
            return self.known_person(key_id, person)

    def person(self, identifier: str) -> tuple[str, Person] | None:
        """Return the id of the key that vouches for a person, and the person."""
        with self._sessions() as session:
            row = session.get(PersonRow, identifier)
            return (row.key_id, _person(row)) if row else None

    # The database

    def is_sound(self) -> bool:
        """Say whether the database's own check finds nothing wrong; only SQLite's file can go bad under a program."""
        if self._engine.dialect.name != "sqlite":
            return True
        try:
            with self._sessions() as session:
                return session.execute(text("PRAGMA quick_check(1)")).scalar() == "ok"
        except DatabaseError:
            return False

    def ping(self) -> None:
        """Ask the database for a sign of life; raises what the database raises."""
        with self._sessions() as session:
            session.execute(select(1))


# What was uploaded has no other place from which it could be read when a failed document is tried again.
_KEEPS_ITS_FILE = or_(DocumentRow.status != "failed", DocumentRow.location.startswith("upload/"))

_KNOWLEDGE_BASES = (
    select(KnowledgeBaseRow, func.count(DocumentRow.id), func.coalesce(func.sum(DocumentRow.passages), 0))
    .outerjoin(DocumentRow, DocumentRow.knowledge_base_id == KnowledgeBaseRow.id)
    .group_by(KnowledgeBaseRow.id)
)


def _knowledge_base(row: KnowledgeBaseRow, documents: int, passages: int) -> KnowledgeBase:
    settings = KnowledgeBaseSettings.model_validate(row.settings)
    return KnowledgeBase(row.id, row.name, settings, documents, int(passages), row.created_at, row.index_table)


def _missing_columns(engine: Engine) -> list[str] | None:
    """Return what adds the columns that are missing, None where a whole table is."""
    found = inspect(engine)
    statements = []
    for table in Base.metadata.sorted_tables:
        if not found.has_table(table.name):
            return None
        known = {column["name"] for column in found.get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                kind = column.type.compile(engine.dialect)
                statements.append(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}")
    return statements


def _row(record: DocumentRecord) -> DocumentRow:
    return DocumentRow(**(dataclasses.asdict(record) | {"warnings": list(record.warnings)}))


def _document(row: DocumentRow) -> DocumentRecord:
    values = {field.name: getattr(row, field.name) for field in dataclasses.fields(DocumentRecord)}
    return DocumentRecord(**(values | {"warnings": tuple(row.warnings)}))


def _written(record: DocumentRecord) -> dict[str, Any]:
    return dataclasses.asdict(record) | {"added_at": record.added_at.isoformat()}


def _read(written: dict[str, Any]) -> DocumentRecord:
    when = datetime.fromisoformat(written["added_at"])
    return DocumentRecord(**(written | {"added_at": when, "warnings": tuple(written["warnings"])}))


def _api_key(row: ApiKeyRow) -> ApiKey:
    known = None if row.knowledge_bases is None else frozenset(row.knowledge_bases)
    return ApiKey(row.id, row.name, frozenset(row.scopes), known, row.created_at)


def _person(row: PersonRow) -> Person:
    return Person(row.subject, row.name, row.email, tuple(row.groups))


def _engine(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        try:
            return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
        except ImportError as error:
            raise InvalidSettings(
                f"PINCITE_CATALOG_URL needs the package {error.name}; install it beside pincite."
            ) from None
    if url == IN_MEMORY:
        # One connection for every thread, or each thread would see a database of its own.
        return create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _configure_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # WAL lets readers in other processes go on while the server writes.
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
