"""A question of several sentences: which of them say something, what they ask about, and which document they mean.

"Hello, I have a question. Audit rights: may a party look into the books? Upjohn supply agreement" is near to no passage
as a whole. Each sentence alone is: the greeting to nothing in particular, and is left out; the agreement's name to all
of that agreement; and the subject, which people say first, to the clause (docs/decisions/0006-fusion.md has the
measurements).
"""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from embedding_backend import Vectors
from pincite.index import Hit, View
from pincite.lexical import question_terms
from pincite.passage import SearchFilter
from pincite.search.ranking import (
    CHANCE_COVER,
    CHANCE_COVER_OF_PARTS,
    WeightedTerm,
    called,
    cover,
    naming,
    rarest,
    weigh,
)
from pincite.sentences import sentences

# What has more sentences is a text, and searched as a whole.
_MOST_PARTS = 6
_SUBJECT_END = re.compile(r":\s+|:$|\N{FULLWIDTH COLON}|\n+")
# A sentence that no window is nearer to than this, in spreads of unrelated similarity, is about nothing in the index.
_SAYS_SOMETHING = 2.0
# Unless it has several words and a passage holds them all, of common ones their stems: "cap on liability".
_FEWEST_WORDS = 2
_ALL_WORDS = 0.95
_WITH_WORDS = 5
# What a sentence is nearest to: of so many windows a document is meant by as much as its best ones, so many, are nearer
# on average than the last of all. A name is near to all of its document, a subject to a page of each.
_NEAREST_WINDOWS = 60
_BEST_WINDOWS = 10
# Documents whose names are compared with a question's words.
_CALLED = 8


@dataclass(frozen=True, slots=True)
class Asked:
    """What a search looks for: passages with `words`, near to `vector` (dimensions,), preferably in documents `meant`.

    `vector` is the mean of what is asked, so a similarity to it is the mean of theirs. `meant` has the documents' ids,
    and by how many spreads of unrelated similarity each stands out; `names` is what documents are called that the
    question may name. `chance` is the share of the words' weight that passages hold without having to do with them.
    """

    words: str
    vector: Vectors
    names: Mapping[str, str]
    meant: Mapping[str, float] = field(default_factory=dict)
    chance: float = CHANCE_COVER


def question_parts(question: str) -> tuple[str, ...]:
    """Return the sentences of a question, which end at a colon too; none of a single one, or of a whole text."""
    found = (part.strip() for a, b in sentences(question) for part in _SUBJECT_END.split(question[a:b]))
    parts = tuple(part for part in found if question_terms(part))
    return parts if 1 < len(parts) <= _MOST_PARTS else ()


async def understood(
    view: View, question: str, parts: Sequence[str], vectors: Vectors, where: SearchFilter | None
) -> Asked:
    """Return what to look for, given the vectors of the question and of each of its parts (1 + parts, dimensions)."""
    whole = vectors[0]
    names = await view.called(rarest(weigh(question_terms(question), view.sample)), _CALLED, where)
    if not parts:
        return Asked(question, whole, names)
    near = await asyncio.gather(*(view.nearest(vector, _NEAREST_WINDOWS, where) for vector in vectors[1:]))
    said = [_Part(*part, names.values(), view) for part in zip(parts, vectors[1:], near, strict=True)]
    kept = [part for part in said if part.nearest >= _SAYS_SOMETHING or await _is_written(view, part.terms, where)]
    if not kept:
        return Asked(question, whole, names)
    meant: dict[str, float] = {}
    subject = kept
    if len(kept) > 1:
        name = max(kept, key=lambda part: part.names_a_document)
        meant = name.documents
        subject = [part for part in kept if part is not name]
    words = " ".join(part.text for part in kept)
    return Asked(words, (whole + subject[0].vector) / 2, names, meant, CHANCE_COVER_OF_PARTS)


async def _is_written(view: View, terms: Sequence[WeightedTerm], where: SearchFilter | None) -> bool:
    """Return whether there are several terms, and a passage that holds them all."""
    if len(terms) < _FEWEST_WORDS:
        return False
    found = await view.lexical_forms(await view.with_words(rarest(terms), _WITH_WORDS, where))
    return any(cover(terms, form) >= _ALL_WORDS for form in found.values())


class _Part:
    """A sentence of a question, and where it leads: `nearest` and `documents` in spreads of unrelated similarity."""

    def __init__(self, text: str, vector: Vectors, near: Sequence[Hit], names: Collection[str], view: View) -> None:
        self.text = text
        self.vector = vector
        model = view.model
        self.nearest = (near[0].similarity - model.unrelated) / model.spread if near else float("-inf")
        similarities: dict[str, list[float]] = {}
        for hit in near:
            similarities.setdefault(hit.window.passage_id.rpartition(":")[0], []).append(hit.similarity)
        # Those of a document's best windows that are not among the nearest are no nearer than the last of these.
        self.documents = {
            document_id: sum(similarity - near[-1].similarity for similarity in best[:_BEST_WINDOWS])
            / (_BEST_WINDOWS * model.spread)
            for document_id, best in similarities.items()
        }

        # By how much one document stands out from all others, and by the words of its name.
        first, second, *_ = [*sorted(self.documents.values(), reverse=True), 0.0, 0.0]
        self.terms = weigh(question_terms(text), view.sample)
        self.names_a_document = called(max((naming(self.terms, name) for name in names), default=0.0), first - second)
