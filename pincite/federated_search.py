"""One question to one or several knowledge bases: embedded once a model, searched side by side, merged by score."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from embedding_backend import Embedder, EmbeddingModel, PassageText, Vectors
from pincite.embedders import Embedders
from pincite.errors import BackendError, IndexDamaged, IndexMismatch, PinciteError
from pincite.generations import Generations
from pincite.passage import NothingFound, SearchFilter, SearchResult
from pincite.records import KnowledgeBase
from pincite.search import Reranking, check, search

NO_KNOWLEDGE_BASE = "There is no knowledge base to search yet; add documents to one first."
NO_RERANKER = (
    "The passages are in the order of the search alone: no reranker is configured; set PINCITE_RERANKER_URL, or rerank "
    "to false."
)


async def search_knowledge_bases(
    knowledge_bases: Sequence[KnowledgeBase],
    question: str,
    generations: Generations,
    embedders: Embedders,
    reranking: Reranking | None,
    *,
    k: int | None,
    where: SearchFilter | None,
) -> SearchResult:
    """Return the best `k` passages of all the knowledge bases; scores mean the same in each.

    One of several that cannot be searched is named in the notes.

    Raises:
        EmptyQuestion, QuestionTooLong, InvalidResultCount: the question cannot be asked so.
        IndexMismatch: a knowledge base was indexed with an embedding model that is not configured any more.
        IndexDamaged: files of its index are missing or damaged.
        BackendError: an embedding model does not answer.
    """
    count = k if k is not None else max((kb.settings.top_k for kb in knowledge_bases), default=1)
    # Half a surrogate pair, from a program that cut a text, would fail in every library below.
    question = question.encode("utf-8", "replace").decode()
    check(question, count)
    once: dict[EmbeddingModel, _QuestionEmbeddedOnce] = {}

    async def ask(kb: KnowledgeBase) -> SearchResult:
        async with generations.use(kb) as index, index.telling_damage():
            own = await embedders.of(index.model)
            result = await search(
                index,
                once.setdefault(own.model, _QuestionEmbeddedOnce(own)),
                question,
                k=count,
                where=where,
                knowledge_base_id=kb.id,
                instruction=kb.settings.query_instruction,
                reranking=reranking if kb.settings.rerank else None,
            )
        return replace(result, notes=(NO_RERANKER,)) if kb.settings.rerank and reranking is None else result

    async def try_to_ask(kb: KnowledgeBase) -> SearchResult | PinciteError:
        try:
            return await ask(kb)
        except (BackendError, IndexDamaged, IndexMismatch) as failure:
            return failure

    answers = await asyncio.gather(*(try_to_ask(kb) for kb in knowledge_bases))
    results = [answer for answer in answers if isinstance(answer, SearchResult)]
    notes = []
    for kb, answer in zip(knowledge_bases, answers, strict=True):
        if isinstance(answer, PinciteError):
            if not results:
                raise answer
            notes.append(f"The knowledge base “{kb.name}” was not searched: {answer.message}")
    return merge(question, results, count, notes)


def merge(question: str, results: Sequence[SearchResult], k: int, notes: Sequence[str] = ()) -> SearchResult:
    """Merge the results of several knowledge bases; with no passage, the most telling reason stands."""
    passages = sorted((p for result in results for p in result.passages), key=lambda p: -p.score)[:k]
    timings: dict[str, float] = {}
    for result in results:
        for step, milliseconds in result.timings_ms.items():
            timings[step] = max(milliseconds, timings.get(step, 0.0))
    reasons = [result.why for result in results if result.why is not None]
    why = max(reasons, key=_tells, default=NothingFound("empty_knowledge_base", NO_KNOWLEDGE_BASE))
    told = dict.fromkeys([*notes, *(note for result in results for note in result.notes)])
    return SearchResult(question, tuple(passages), None if passages else why, tuple(told), timings)


def _tells(why: NothingFound) -> tuple[int, float]:
    order = {"empty_knowledge_base": 0, "filtered_out": 1, "below_floor": 2}
    return order[why.reason], why.best_score or 0.0


class _QuestionEmbeddedOnce:
    """An embedder that embeds the question of one search a single time, however many knowledge bases are asked."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._vectors: dict[tuple[tuple[str, ...], str | None], asyncio.Future[Vectors]] = {}

    @property
    def model(self) -> EmbeddingModel:
        return self._embedder.model

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._embedder.count_tokens(texts)

    def estimate_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return about the length of each text."""
        return self._embedder.estimate_tokens(texts)

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        return await self._embedder.embed_passages(passages)

    async def embed_queries(self, questions: Sequence[str], instruction: str | None = None) -> Vectors:
        key = (tuple(questions), instruction)
        if key not in self._vectors:
            self._vectors[key] = asyncio.ensure_future(self._embedder.embed_queries(questions, instruction))
        return await self._vectors[key]

    async def close(self) -> None:
        """Nothing to give back: the embedder belongs to someone else."""
