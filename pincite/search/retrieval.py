"""A question to cited passages: by meaning and by words, fused, neighbours joined, the evidence marked."""

import asyncio
import heapq
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

from embedding_backend import BackendFailure, Embedder
from pincite.errors import BackendError, EmptyQuestion, InvalidResultCount, QuestionTooLong
from pincite.index import CitedPassage, Hit, Index, RowsMoved, View, Window
from pincite.lexical import question_terms
from pincite.passage import NothingFound, Passage, SearchFilter, SearchResult
from pincite.search.marking import marks
from pincite.search.question_parts import Asked, question_parts, understood
from pincite.search.ranking import (
    CHANCE_COVER,
    FLOOR,
    WeightedTerm,
    brevity,
    called,
    cover,
    evidence,
    naming,
    probability,
    rarest,
    weigh,
)
from pincite.search.reranking import MOST_RERANKED, Reranking

LONGEST_QUESTION = 8_000
MOST_PASSAGES = 100
# For each candidate wanted, windows looked at by meaning, in all documents and in those that the question names, and
# passages by words. A passage has several windows. Up to three times as many found nothing better in the judged sets.
_NEAREST_WINDOWS = 3
_NEAREST_WITHIN = 1
_WITH_WORDS = 1
_FEWEST_CANDIDATES = 20
# From which evidence on a document is looked into: a fifth of the question's words in its name.
_MEANT = 1.6
# Neighbours are joined up to this many: more would be a page, not a passage.
_MOST_JOINED = 3
# A search is repeated where the rows it found were moved or deleted before it read them.
_ATTEMPTS = 5
# The attempts after these keep this process from writing meanwhile, or a search would never end beside a bulk load.
_ATTEMPTS_MOVING = 2


@dataclass(frozen=True, slots=True)
class _Candidate:
    passage_id: str
    fused: float
    best: Window


async def search(
    index: Index,
    embedder: Embedder,
    question: str,
    *,
    k: int = 5,
    where: SearchFilter | None = None,
    knowledge_base_id: str = "",
    instruction: str | None = None,
    reranking: Reranking | None = None,
) -> SearchResult:
    """Return the `k` best passages for a question, or why there is none; `instruction` is for the embedder.

    With `reranking` the best candidates are in its order. Their scores stay those of the search, the highest first: a
    reranker says which passage answers better, on a scale of its own.

    Raises EmptyQuestion, QuestionTooLong, InvalidResultCount and BackendError.
    """
    question = check(question, k)
    started = time.perf_counter()
    parts = question_parts(question)
    try:
        vectors = await embedder.embed_queries([question, *parts], instruction)
    except BackendFailure as failure:
        raise BackendError(str(failure)) from failure
    embedded = time.perf_counter()
    for attempt in range(_ATTEMPTS):
        try:
            async with index.still() if attempt >= _ATTEMPTS_MOVING else nullcontext():
                view = await index.view()
                asked = await understood(view, question, parts, vectors, where)
                terms = weigh(question_terms(asked.words), view.sample)
                # Enough of them that k remain when neighbours are joined.
                wanted = max(k * (_MOST_JOINED + 1), MOST_RERANKED if reranking else _FEWEST_CANDIDATES)
                candidates = await _candidates(view, asked, terms, where, wanted)
                found = time.perf_counter()
                timings = {"embed": (embedded - started) * 1e3}
                notes: tuple[str, ...] = ()
                if reranking is not None:
                    candidates, notes = await _reranked(view, candidates, question, reranking)
                    timings["rerank"] = (time.perf_counter() - found) * 1e3
                passages = await _passages(view, candidates, terms, k, knowledge_base_id)
                break
        except RowsMoved:
            continue
    else:
        raise BackendError("the knowledge base changes faster than it can be searched; ask again in a moment")
    why = None if passages else await _why(index, candidates, where)
    timings["search"] = (time.perf_counter() - started) * 1e3 - sum(timings.values())
    return SearchResult(question, tuple(passages), why, notes, timings)


def check(question: str, k: int) -> str:
    """Return the question without the white space around it, or say what is wrong with it or with `k`."""
    question = question.strip()
    if not question:
        raise EmptyQuestion("the question is empty; ask something")
    if len(question) > LONGEST_QUESTION:
        raise QuestionTooLong(
            f"the question has {len(question):,} characters, more than {LONGEST_QUESTION:,}; "
            "ask a shorter one, or add the text as a document"
        )
    if not 1 <= k <= MOST_PASSAGES:
        raise InvalidResultCount(f"k is {k}; it must be between 1 and {MOST_PASSAGES}")
    return question


async def _candidates(
    view: View, asked: Asked, terms: Sequence[WeightedTerm], where: SearchFilter | None, wanted: int
) -> list[_Candidate]:
    """Return at least the `wanted` best of what either side found, with all the evidence, best first."""
    near, with_words = await asyncio.gather(
        view.nearest(asked.vector, _NEAREST_WINDOWS * wanted, where),
        view.with_words(rarest(terms), _WITH_WORDS * wanted, where),
    )
    best: dict[str, Hit] = {}
    _keep_best(best, near)
    named = {document_id: naming(terms, name) for document_id, name in asked.names.items()}
    by_name = {document_id: called(share, 0.0) for document_id, share in named.items()}
    documents = {d: called(named.get(d, 0.0), asked.meant.get(d, 0.0)) for d in named.keys() | asked.meant.keys()}
    if meant := sorted(document_id for document_id, evidence_for in documents.items() if evidence_for >= _MEANT):
        within = replace(where or SearchFilter(), document_ids=tuple(meant))
        _keep_best(best, await view.nearest(asked.vector, _NEAREST_WITHIN * wanted, within))
    lexical = await view.lexical_forms(list({*best, *with_words}))
    covered = {passage_id: cover(terms, form) for passage_id, form in lexical.items()}
    # A document's first passage may be all there is of it.
    brief = {passage_id: brevity(form) for passage_id, form in lexical.items() if not passage_id.endswith(":0")}

    def fused(passage_id: str, similarity: float, *, documents: Mapping[str, float], chance: float) -> float:
        document = documents.get(passage_id.rpartition(":")[0], 0.0)
        return evidence(view.model, similarity, covered[passage_id], document, brief.get(passage_id, 0.0), chance)

    in_order = partial(fused, documents=documents, chance=asked.chance)
    ranks = {passage_id: in_order(passage_id, hit.similarity) for passage_id, hit in best.items()}
    if by_words_only := [passage_id for passage_id in with_words if passage_id not in best]:
        # Where more are near than were asked for, none of their windows is nearer than the last of those: most cannot
        # be among the best, whatever their vectors say, and those are not read.
        nearest = near[-1].similarity if len(near) == _NEAREST_WINDOWS * wanted else math.inf
        least = heapq.nlargest(wanted, ranks.values())
        hopeful = [p for p in by_words_only if len(least) < wanted or in_order(p, nearest) > least[-1]]
        _keep_best(best, await view.windows_of(hopeful, asked.vector))
        ranks |= {p: in_order(p, best[p].similarity) for p in hopeful if p in best}
    order = sorted(best, key=lambda passage_id: (-ranks[passage_id], passage_id))
    # Which document a sentence means says what comes first, and not how well that answers.
    scores = sorted((fused(p, best[p].similarity, documents=by_name, chance=CHANCE_COVER) for p in order), reverse=True)
    return [_Candidate(p, score, best[p].window) for p, score in zip(order, scores, strict=True)]


def _keep_best(best: dict[str, Hit], hits: Sequence[Hit]) -> None:
    for hit in hits:
        before = best.get(hit.window.passage_id)
        if before is None or hit.similarity > before.similarity:
            best[hit.window.passage_id] = hit


async def _reranked(
    view: View, candidates: list[_Candidate], question: str, reranking: Reranking
) -> tuple[list[_Candidate], tuple[str, ...]]:
    """Return the candidates with the best of the relevant ones in the reranker's order, and its notes."""
    best = [candidate for candidate in candidates[:MOST_RERANKED] if probability(candidate.fused) >= FLOOR]
    rows = await view.passages([candidate.passage_id for candidate in best]) if len(best) > 1 else {}
    if not rows:
        return candidates, ()
    texts = [_titled(rows[candidate.passage_id]) for candidate in best]
    order, notes = await reranking.order(question, texts)
    ordered = [replace(best[place], fused=candidate.fused) for place, candidate in zip(order, best, strict=True)]
    moved = {candidate.passage_id for candidate in best}
    return ordered + [candidate for candidate in candidates if candidate.passage_id not in moved], notes


def _titled(passage: CitedPassage) -> str:
    """Return a passage with what a reader would see above it."""
    above = passage.document.title, passage.section, passage.table_header
    return "\n".join(part for part in (*above, passage.text) if part)


async def _passages(
    view: View, candidates: Sequence[_Candidate], terms: Sequence[WeightedTerm], k: int, knowledge_base_id: str
) -> list[Passage]:
    relevant = [candidate for candidate in candidates if probability(candidate.fused) >= FLOOR]
    rows: dict[str, CitedPassage] = {}
    groups: list[list[_Candidate]] = []
    # Mostly the first few give all the groups, and each that is read costs.
    for most in (2 * k, (_MOST_JOINED + 1) * k):
        unread = [candidate.passage_id for candidate in relevant[:most] if candidate.passage_id not in rows]
        if unread:
            rows |= await view.passages(unread)
            groups, enough = _join_neighbours(relevant[:most], rows, k)
            if enough:
                break
    return [_passage(group, rows, terms, knowledge_base_id) for group in groups]


def _join_neighbours(
    candidates: Sequence[_Candidate], rows: Mapping[str, CitedPassage], k: int
) -> tuple[list[list[_Candidate]], bool]:
    """Return up to `k` groups, best first, and whether there was one more than that.

    A candidate next to a group on the same page joins it and takes no place.
    """
    groups: list[list[_Candidate]] = []
    places: dict[tuple[str, int, int | None], list[_Candidate]] = {}
    for candidate in candidates:
        document, ordinal = _place(candidate)
        page = _page_at(rows[candidate.passage_id], candidate.best.start)
        beside = [places.get((document, ordinal + step, page)) for step in (-1, 1)]
        group = next((g for g in beside if g is not None and len(g) < _MOST_JOINED), None)
        if group is None:
            if len(groups) == k:
                return groups, True
            group = []
            groups.append(group)
        group.append(candidate)
        places[document, ordinal, page] = group
    return groups, False


def _page_at(passage: CitedPassage, offset: int) -> int | None:
    """Return the page on which a place of the document's text stands, None for a format without pages."""
    pages = [number for number, start in zip(passage.pages, passage.page_starts, strict=True) if start <= offset]
    return pages[-1] if pages else None


def _place(candidate: _Candidate) -> tuple[str, int]:
    document, _, ordinal = candidate.passage_id.rpartition(":")
    return document, int(ordinal)


def _passage(
    group: list[_Candidate], rows: Mapping[str, CitedPassage], terms: Sequence[WeightedTerm], knowledge_base_id: str
) -> Passage:
    """Return the passage of a group: its members' texts with the white space between them, cited where it is best."""
    best = group[0]
    members = [rows[member.passage_id] for member in sorted(group, key=_place)]
    first, last = members[0], members[-1]
    text = "".join(member.text + member.gap for member in members[:-1]) + last.text
    labels = {n: label for member in members for n, label in zip(member.pages, member.page_labels, strict=True)}
    window = (best.best.start - first.start, best.best.end - first.start)
    marked = marks(text, terms, window)
    evidence_at = first.start + next(mark.start for mark in marked if mark.kind == "sentence")
    page = next((p for p in (_page_at(member, evidence_at) for member in reversed(members)) if p is not None), None)
    return Passage(
        id=best.passage_id,
        knowledge_base_id=knowledge_base_id,
        document=first.document,
        ordinal=first.ordinal,
        start=first.start,
        end=last.end,
        text=text,
        section=rows[best.passage_id].section,
        page=page,
        page_label=labels[page] if page is not None else None,
        pages=tuple(sorted(labels)),
        boxes=tuple(box for member in members for box in member.boxes),
        marks=marked,
        score=probability(best.fused),
        table_header=first.table_header,
    )


async def _why(index: Index, candidates: Sequence[_Candidate], where: SearchFilter | None) -> NothingFound:
    if candidates:
        best = probability(candidates[0].fused)
        return NothingFound(
            "below_floor",
            f"nothing relevant found: the best passage scores {best:.2f}, below {FLOOR:.2f}; ask in other words, "
            "or add the document that answers this",
            best,
        )
    if await index.count():
        return NothingFound("filtered_out", "no passage passes the filter; widen it")
    return NothingFound("empty_knowledge_base", "the knowledge base holds no passages yet; add documents first")
