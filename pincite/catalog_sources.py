"""The sources in the catalog, and what of their documents tells that nothing has changed."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, sessionmaker

from pincite.catalog_schema import DocumentRow, SourceRow
from pincite.records import Source


class SourceCatalog:
    """The part of the catalog that keeps sources. Every call blocks; call it in a thread."""

    _sessions: sessionmaker[Session]

    def put_source(self, source: Source) -> None:
        """Write a source, replacing an earlier one of its id."""
        values = {column: getattr(source, column) for column in _COLUMNS}
        values |= {"include": list(source.include), "exclude": list(source.exclude)}
        with self._sessions.begin() as session:
            session.merge(SourceRow(**values))

    def sources(self, knowledge_base_id: str | None = None) -> list[Source]:
        """Return the sources of a knowledge base, or all, by location."""
        query = select(SourceRow).order_by(SourceRow.location)
        if knowledge_base_id is not None:
            query = query.where(SourceRow.knowledge_base_id == knowledge_base_id)
        with self._sessions() as session:
            return [_source(row) for row in session.scalars(query)]

    def source(self, identifier: str) -> Source | None:
        """Return one source."""
        with self._sessions() as session:
            row = session.get(SourceRow, identifier)
            return _source(row) if row else None

    def delete_source(self, identifier: str) -> None:
        """Forget a source; its documents stay."""
        of_source = DocumentRow.source_id == identifier
        with self._sessions.begin() as session:
            session.execute(update(DocumentRow).where(of_source).values(source_id=None))
            session.execute(delete(SourceRow).where(SourceRow.id == identifier))

    def documents_of(self, source_id: str) -> dict[str, str]:
        """Return the paths of a source's documents by id, failed ones too."""
        query = select(DocumentRow.id, DocumentRow.path).where(DocumentRow.source_id == source_id)
        with self._sessions() as session:
            return {row.id: row.path for row in session.execute(query)}

    def put_origins(self, origins: Mapping[str, dict[str, Any]]) -> None:
        """Change some columns of documents that have not changed themselves, by id."""
        with self._sessions.begin() as session:
            for identifier, values in origins.items():
                session.execute(update(DocumentRow).where(DocumentRow.id == identifier).values(values))


_COLUMNS = list(SourceRow.__table__.columns.keys())


def _source(row: SourceRow) -> Source:
    values = {column: getattr(row, column) for column in _COLUMNS}
    return Source(**(values | {"include": tuple(row.include), "exclude": tuple(row.exclude)}))
