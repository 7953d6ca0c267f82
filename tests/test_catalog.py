"""The catalog remembers, across processes and restarts, and refuses a database of another version."""

import dataclasses
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from pincite.catalog import IN_MEMORY, Catalog
from pincite.errors import CatalogMismatch, InvalidSettings, NameTaken
from pincite.records import ApiKey, DocumentRecord, Job, KnowledgeBase
from pincite.settings import KnowledgeBaseSettings


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/catalog.sqlite"


@pytest.fixture
def catalog(url: str) -> Iterator[Catalog]:
    opened = Catalog(url)
    yield opened
    opened.close()


@pytest.fixture
def kb(catalog: Catalog) -> KnowledgeBase:
    return catalog.create_knowledge_base("contracts", KnowledgeBaseSettings(top_k=7))


def document(kb: KnowledgeBase, name: str = "a", **changes: object) -> DocumentRecord:
    record = DocumentRecord(
        id=f"doc_{name}",
        knowledge_base_id=kb.id,
        location=f"upload/{name}.pdf",
        path=f"{name}.pdf",
        title="A title, 标题",
        media_type="application/pdf",
        sha256=name * 64,
        size=5_000_000_000,
        pages=12,
        pages_without_text=1,
        pages_failed=0,
        passages=30,
        status="partial",
        warnings=({"code": "page_without_text", "message": "page 7 has no text", "page": 7},),
        error=None,
        added_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        parsed=f"{name}-parsed.arrow",
        recipe="a recipe",
    )
    return dataclasses.replace(record, **changes)  # type: ignore[arg-type]


def job(kb: KnowledgeBase, identifier: str = "job_1", **changes: object) -> Job:
    made = Job(identifier, kb.id, "add", "running", 0, 2, 0, datetime.now(UTC))
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def test_a_knowledge_base_is_found_by_id_and_by_name(catalog: Catalog, kb: KnowledgeBase) -> None:
    assert catalog.knowledge_base(kb.id) == catalog.knowledge_base("contracts") == kb
    assert kb.settings.top_k == 7
    assert catalog.knowledge_base("other") is None


def test_two_knowledge_bases_cannot_have_one_name(catalog: Catalog, kb: KnowledgeBase) -> None:
    with pytest.raises(NameTaken, match="contracts"):
        catalog.create_knowledge_base("contracts", KnowledgeBaseSettings())


def test_a_document_comes_back_as_it_was_put(catalog: Catalog, kb: KnowledgeBase) -> None:
    record = document(kb)
    catalog.put_document(record)
    assert catalog.document(record.id) == record
    changed = dataclasses.replace(record, status="failed", error={"code": "corrupt_document", "message": "…"})
    catalog.put_document(changed)
    assert catalog.documents(kb.id) == [changed]


def test_a_knowledge_base_counts_its_documents_and_passages(catalog: Catalog, kb: KnowledgeBase) -> None:
    catalog.create_knowledge_base("empty", KnowledgeBaseSettings())
    for name in "ab":
        catalog.put_document(document(kb, name))
    counts = {found.name: (found.documents, found.passages) for found in catalog.knowledge_bases()}
    assert counts == {"contracts": (2, 60), "empty": (0, 0)}


def test_another_process_reads_what_was_written(catalog: Catalog, kb: KnowledgeBase, url: str) -> None:
    catalog.put_document(document(kb))
    program = "import sys; from pincite.catalog import Catalog; print(Catalog(sys.argv[1]).document('doc_a').title)"
    found = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "A title, 标题"


def test_documents_that_are_served_or_were_uploaded_refer_to_files(catalog: Catalog, kb: KnowledgeBase) -> None:
    catalog.put_document(document(kb, "a"))
    catalog.put_document(document(kb, "b", status="failed", location="/docs/b"))
    catalog.put_document(document(kb, "c", status="failed", location="upload/c"))
    assert catalog.is_referenced(sha256="a" * 64)
    assert catalog.is_referenced(parsed="a-parsed.arrow")
    assert not catalog.is_referenced(sha256="b" * 64)
    assert catalog.is_referenced(sha256="c" * 64)
    assert catalog.references() == ({"a" * 64, "c" * 64}, {"a-parsed.arrow", "c-parsed.arrow"})


def test_a_generation_is_swapped_together_with_its_records(catalog: Catalog, kb: KnowledgeBase) -> None:
    catalog.put_document(document(kb))
    catalog.swap_generation(kb.id, "next", [document(kb, passages=99)])
    swapped = catalog.knowledge_base(kb.id)
    assert swapped is not None
    assert (swapped.table, swapped.passages) == ("next", 99)


def test_a_deleted_knowledge_base_takes_everything_along(catalog: Catalog, kb: KnowledgeBase) -> None:
    catalog.put_document(document(kb))
    catalog.put_job(job(kb), [(0, {"path": "a.pdf"})])
    catalog.delete_knowledge_base(kb.id)
    assert catalog.knowledge_bases() == []
    assert catalog.document("doc_a") is None
    assert catalog.job("job_1") is None


def test_a_job_gathers_its_results_in_order(catalog: Catalog, kb: KnowledgeBase) -> None:
    catalog.put_job(job(kb), [(0, {"path": "a"})])
    catalog.put_job(job(kb, done=2, state="done", finished_at=datetime.now(UTC)), [(1, {"path": "b"})])
    found = catalog.job("job_1")
    assert found is not None
    assert found.finished
    assert found.results == [{"path": "a"}, {"path": "b"}]


def test_what_a_crash_left_unfinished_is_found_with_what_is_settled(catalog: Catalog, kb: KnowledgeBase) -> None:
    request = {"sources": [], "private_hosts": True}
    catalog.put_job(
        job(kb, "job_1", request=request), [(0, {"document_id": None}), (1, {"document_id": "a", "status": "indexed"})]
    )
    catalog.put_job(job(kb, "job_2", state="done", finished_at=datetime.now(UTC)))
    [left] = catalog.unfinished_jobs()
    assert (left.id, left.request) == ("job_1", request)
    assert catalog.settled_results("job_1") == [(1, {"document_id": "a", "status": "indexed"})]
    assert catalog.job_results("job_1") == [{"document_id": "a", "status": "indexed"}]


def test_a_record_and_its_result_are_written_together(catalog: Catalog, kb: KnowledgeBase) -> None:
    catalog.put_job(job(kb))
    catalog.finish_document(document(kb), "job_1", (0, {"document_id": "doc_a"}))
    with pytest.raises(IntegrityError):  # the job has this result already: neither of the two is written
        catalog.finish_document(document(kb, passages=99), "job_1", (0, {"document_id": "doc_a"}))
    found = catalog.document("doc_a")
    assert found is not None
    assert found.passages != 99


def test_what_is_built_beside_the_serving_table_is_kept_until_it_serves(catalog: Catalog, kb: KnowledgeBase) -> None:
    catalog.put_job(job(kb))
    built = document(kb, sha256="b" * 64)
    catalog.finish_document(built, "job_1", (0, {"document_id": built.id}), "next")
    assert catalog.document(built.id) is None
    assert catalog.built_documents("next") == {built.id: built}
    assert "b" * 64 in catalog.references()[0]
    catalog.swap_generation(kb.id, "next", [built])
    assert catalog.document(built.id) == built
    assert catalog.built_documents("next") == {}


def test_an_older_catalog_gains_the_columns_it_lacks(catalog: Catalog, kb: KnowledgeBase, url: str) -> None:
    catalog.put_document(document(kb))
    catalog.close()
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    with connection:
        connection.execute("ALTER TABLE documents DROP COLUMN tokens")
        connection.execute("ALTER TABLE jobs DROP COLUMN request")
        connection.execute("DROP TABLE sources")
    connection.close()
    again = Catalog(url)
    found = again.document("doc_a")
    assert found is not None
    assert found.tokens is None
    assert again.sources(kb.id) == []
    again.close()


def test_old_jobs_are_forgotten_and_running_ones_are_not(catalog: Catalog, kb: KnowledgeBase) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=31)
    catalog.put_job(job(kb, "old", state="done", finished_at=long_ago), [(0, {"path": "a"})])
    catalog.put_job(job(kb, "running", created_at=long_ago))
    catalog.forget_jobs(timedelta(days=30))
    assert catalog.job("old") is None
    assert catalog.job("running") is not None


def test_a_key_is_found_by_its_hash_and_until_it_is_taken_back(catalog: Catalog) -> None:
    key = ApiKey(
        "key_1", "a reader", frozenset({"read"}), frozenset({"kb_1"}), datetime.now(UTC).replace(microsecond=0)
    )
    catalog.put_api_key(key, "hash")
    assert catalog.api_key(key_hash="hash") == catalog.api_key(identifier="key_1") == key
    assert catalog.api_key(key_hash="other") is None
    assert catalog.delete_api_key("key_1")
    assert not catalog.delete_api_key("key_1")
    assert catalog.api_key(key_hash="hash") is None


def test_a_database_of_another_version_is_refused(catalog: Catalog, url: str) -> None:
    catalog.close()
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    with connection:
        connection.execute("UPDATE meta SET value = '999'")
    connection.close()
    with pytest.raises(CatalogMismatch, match="999"):
        Catalog(url)


def test_a_database_that_cannot_be_opened_is_named_without_its_address(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="PINCITE_CATALOG_URL") as refused:
        Catalog(f"sqlite:///{tmp_path}/missing/catalog.sqlite")
    assert str(tmp_path) not in refused.value.message


def test_a_catalog_in_memory_is_one_for_all_threads() -> None:
    import threading

    catalog = Catalog(IN_MEMORY)
    thread = threading.Thread(target=catalog.create_knowledge_base, args=("a", KnowledgeBaseSettings()))
    thread.start()
    thread.join()
    assert [kb.name for kb in catalog.knowledge_bases()] == ["a"]
    catalog.close()
