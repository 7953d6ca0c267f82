"""The parts behind the use cases, made from the settings and taken down in the reverse order."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy.engine import make_url

from embedding_backend import Embedder, Reranker
from pincite.access import VIEW_KEY_FILE, ViewSigner
from pincite.answers.language_model import LanguageModel
from pincite.catalog import IN_MEMORY, Catalog
from pincite.connection import Connection
from pincite.data_lock import DataLock
from pincite.document_indexing import DocumentIndexer
from pincite.embedders import ConnectEmbedder, Embedders
from pincite.errors import CatalogDamaged
from pincite.generations import Generations
from pincite.ingestion import Ingestion
from pincite.jobs import JobRunner
from pincite.keyring import Keyring
from pincite.openwebui import OpenWebUI
from pincite.page_images import PageImages
from pincite.parsing.worker import ParseLimits, ParserPool
from pincite.reindexing import Reindexing
from pincite.repairing import Repairing
from pincite.restoring import finish_restore
from pincite.search import Reranking
from pincite.settings import CATALOG_FILE, Settings
from pincite.snapshot import clear_snapshots
from pincite.source_listing import SourceLister
from pincite.store import Store

MIB = 1024 * 1024

ConnectReranker = Callable[[], Coroutine[Any, Any, Reranker]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the use cases are made of; `lock` is None in a process that only reads."""

    lock: DataLock | None
    catalog: Catalog
    store: Store
    embedders: Embedders
    reranking: Reranking | None
    language_model: LanguageModel | None
    backend_meters: CollectorRegistry
    generations: Generations
    jobs: JobRunner
    indexer: DocumentIndexer
    ingestion: Ingestion
    reindexing: Reindexing
    repairing: Repairing
    images: PageImages
    keyring: Keyring
    openwebui: OpenWebUI | None


@dataclass(frozen=True, slots=True)
class Backends:
    """What stands in for the models that the settings name; None for each that does not."""

    embedder: Embedder | None = None
    connect_embedder: ConnectEmbedder | None = None
    connect_reranker: ConnectReranker | None = None


async def open_parts(settings: Settings, backends: Backends, *, read_only: bool, stack: AsyncExitStack) -> Parts:
    """Open the data folder; `stack` closes what was opened, but not an embedder that was given.

    Raises:
        DataFolderBusy: another process writes the folder, and this one would too.
        CatalogMismatch: the catalog was made by another version.
        InvalidSettings: the catalog cannot be reached.
        CatalogDamaged: it is missing, or no database any more.
    """
    lock = None if read_only else DataLock(settings.data)
    if lock is not None:
        stack.callback(lock.close)
        await asyncio.to_thread(finish_restore, settings.data)
        await asyncio.to_thread(clear_snapshots, settings.data)
    await asyncio.to_thread(_check_catalog_is_there, settings)
    catalog = await asyncio.to_thread(Catalog, _catalog_url(settings, read_only=read_only))
    stack.push_async_callback(asyncio.to_thread, catalog.close)
    store = Store(settings.data)
    meters = CollectorRegistry()
    embedder = backends.embedder
    if embedder is None:
        embedder = _embedded_model(settings)
        stack.push_async_callback(embedder.close)
    embedders = Embedders(embedder, backends.connect_embedder or _embedding_server(settings, meters))
    stack.push_async_callback(embedders.close)
    reranking = None
    if connect_reranker := backends.connect_reranker or _reranking_server(settings, meters):
        reranker = Connection(connect_reranker)
        stack.push_async_callback(reranker.close)
        reranking = Reranking(reranker.get, settings.rerank_timeout_s)
    language_model = _language_model(settings)
    if language_model is not None:
        stack.push_async_callback(language_model.close)
    generations = Generations(settings.index_location, embedders, read_only=read_only)
    stack.push_async_callback(generations.close)
    pool = ParserPool(settings.parser_workers, _parse_limits(settings), recognition=settings.recognition)
    stack.push_async_callback(pool.close)
    images = PageImages(pool)
    stack.push_async_callback(images.close)
    jobs = JobRunner(catalog, running=settings.running_jobs, queued=settings.queued_jobs)
    stack.push_async_callback(jobs.close)
    if lock is not None:
        await asyncio.to_thread(_clear_up, store, catalog)
    signer = await asyncio.to_thread(ViewSigner.from_file, settings.data / VIEW_KEY_FILE, create=lock is not None)
    openwebui = OpenWebUI.of(settings)
    if openwebui is not None:
        stack.push_async_callback(openwebui.close)
    indexer = DocumentIndexer(catalog, store, pool)
    reindexing = Reindexing(catalog, embedders, generations, indexer)
    lister = SourceLister(catalog, store, settings.max_file_bytes)
    return Parts(
        lock=lock,
        catalog=catalog,
        store=store,
        embedders=embedders,
        reranking=reranking,
        language_model=language_model,
        backend_meters=meters,
        generations=generations,
        jobs=jobs,
        indexer=indexer,
        ingestion=Ingestion(catalog, store, indexer, lister, settings.parser_workers),
        reindexing=reindexing,
        repairing=Repairing(
            catalog,
            store,
            embedders,
            generations,
            reindexing,
            settings.index_location,
            shared=settings.index_uri is not None,
        ),
        images=images,
        keyring=Keyring(settings, catalog, signer, lock.token if lock else None, openwebui),
        openwebui=openwebui,
    )


def _check_catalog_is_there(settings: Settings) -> None:
    """Refuse a folder whose catalog is gone: by a new one, every document in it would belong to nothing and be removed.

    Raises:
        CatalogDamaged: there are documents without a catalog.
    """
    originals = (settings.data / "originals").glob("*/*")
    if settings.catalog_url is None and not (settings.data / CATALOG_FILE).exists() and next(originals, None):
        raise CatalogDamaged(
            "The catalog is missing from a data folder that holds documents: restore a backup with `pincite restore "
            "--replace`, or name an empty folder in PINCITE_DATA and add them again."
        )


def _catalog_url(settings: Settings, *, read_only: bool) -> str:
    """A reader of a folder that does not exist yet sees an empty catalog, and leaves no folder behind."""
    url = settings.catalog_location
    database = make_url(url).database
    is_file = make_url(url).get_backend_name() == "sqlite" and database not in {None, "", ":memory:"}
    if read_only and is_file and not Path(str(database)).exists():
        return IN_MEMORY
    return url


def _parse_limits(settings: Settings) -> ParseLimits:
    return ParseLimits(
        timeout_s=settings.parse_timeout_s,
        cpu_s=settings.parse_timeout_s,
        memory_bytes=settings.parse_memory_mb * MIB,
        max_bytes=settings.max_file_bytes,
    )


def _embedded_model(settings: Settings) -> Embedder:
    from embedding_backend import EmbeddedModel

    return EmbeddedModel(threads=settings.embedding_threads)


def _embedding_server(settings: Settings, meters: CollectorRegistry) -> ConnectEmbedder | None:
    if not settings.embedding_url:
        return None
    from embedding_backend.hosted import EmbeddingMetrics, HostedConfig, HostedModel

    config = HostedConfig(
        endpoints=settings.embedding_url,
        model=settings.embedding_model,
        api_key=settings.embedding_key,
        tokenizer=settings.embedding_tokenizer,
    )
    return partial(HostedModel.connect, config, EmbeddingMetrics(meters))


def _reranking_server(settings: Settings, meters: CollectorRegistry) -> ConnectReranker | None:
    if not settings.reranker_url:
        return None
    from embedding_backend.hosted import HostedReranker, RerankerConfig, RerankMetrics

    config = RerankerConfig(
        endpoints=settings.reranker_url, model=settings.reranker_model, api_key=settings.reranker_key
    )
    return partial(HostedReranker.connect, config, RerankMetrics(meters))


def _language_model(settings: Settings) -> LanguageModel | None:
    if settings.llm_url is None:
        return None
    key = settings.llm_key.get_secret_value() if settings.llm_key else None
    return LanguageModel(
        settings.llm_url,
        settings.llm_model,
        key,
        timeout_s=settings.llm_timeout_s,
        max_tokens=settings.llm_max_tokens,
    )


def _clear_up(store: Store, catalog: Catalog) -> None:
    store.prepare(kept=catalog.received_files())
    store.sweep(*catalog.references())
