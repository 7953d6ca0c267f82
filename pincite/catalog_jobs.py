"""The jobs in the catalog: what there is to do, how far it is, and what became of each document."""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, sessionmaker

from pincite.catalog_schema import JobResultRow, JobRow
from pincite.records import FINISHED, Job


class JobCatalog:
    """The part of the catalog that keeps jobs. Every call blocks; call it in a thread."""

    _sessions: sessionmaker[Session]

    def put_job(self, job: Job, new_results: Iterable[tuple[int, dict[str, Any]]] = ()) -> None:
        """Write a job's state and append the results it gained, each with its ordinal."""
        values = {column: getattr(job, column) for column in _COLUMNS}
        with self._sessions.begin() as session:
            session.merge(JobRow(**values))
            session.flush()
            session.add_all(JobResultRow(job_id=job.id, ordinal=n, result=result) for n, result in new_results)

    def job(self, identifier: str, since: int = 0) -> Job | None:
        """Return one job with its results, without the first `since`."""
        with self._sessions() as session:
            row = session.get(JobRow, identifier)
            if row is None:
                return None
            results = _results(session, identifier, 0)
        counts = Counter(result["status"] for result in results if "status" in result)
        return dataclasses.replace(_job(row, results[since:]), counts=dict(counts))

    def job_results(self, identifier: str, since: int = 0) -> list[dict[str, Any]]:
        """Return the results of a job in their order, without the first `since`."""
        with self._sessions() as session:
            return _results(session, identifier, since)

    def jobs(self, knowledge_base_id: str, limit: int) -> list[Job]:
        """Return the newest jobs of a knowledge base, without their results."""
        query = select(JobRow).where(JobRow.knowledge_base_id == knowledge_base_id)
        with self._sessions() as session:
            rows = session.scalars(query.order_by(JobRow.created_at.desc()).limit(limit))
            return [_job(row, []) for row in rows]

    def unfinished_jobs(self) -> list[Job]:
        """Return what an earlier process left queued or running, oldest first, without the results."""
        query = select(JobRow).where(JobRow.state.not_in(FINISHED)).order_by(JobRow.created_at)
        with self._sessions() as session:
            return [_job(row, []) for row in session.scalars(query)]

    def received_files(self) -> set[str]:
        """Return the names of the files that were sent and that a job still has to deal with."""
        requests = [job.request or {} for job in self.unfinished_jobs()]
        return {
            source["received"] for request in requests for source in request.get("sources", ()) if source["received"]
        }

    def settled_results(self, identifier: str) -> list[tuple[int, dict[str, Any]]]:
        """Return an unfinished job's results of documents; those of whole sources are forgotten, to be told anew."""
        query = select(JobResultRow).where(JobResultRow.job_id == identifier).order_by(JobResultRow.ordinal)
        with self._sessions.begin() as session:
            rows = list(session.scalars(query))
            for row in rows:
                if row.result["document_id"] is None:
                    session.delete(row)
            return [(row.ordinal, row.result) for row in rows if row.result["document_id"] is not None]

    def forget_jobs(self, older_than: timedelta) -> None:
        """Delete finished jobs that ended longer ago than this."""
        old = JobRow.finished_at < datetime.now(UTC) - older_than
        with self._sessions.begin() as session:
            session.execute(delete(JobResultRow).where(JobResultRow.job_id.in_(select(JobRow.id).where(old))))
            session.execute(delete(JobRow).where(old))


_COLUMNS = list(JobRow.__table__.columns.keys())


def _results(session: Session, identifier: str, since: int) -> list[dict[str, Any]]:
    query = select(JobResultRow.result).where(JobResultRow.job_id == identifier).order_by(JobResultRow.ordinal)
    return list(session.scalars(query.offset(since) if since else query))


def _job(row: JobRow, results: list[dict[str, Any]]) -> Job:
    values = {column: getattr(row, column) for column in _COLUMNS}
    return Job(**(values | {"priority": 1 if row.priority is None else row.priority}), results=results)
