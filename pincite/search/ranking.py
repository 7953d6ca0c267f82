"""How the evidence of vectors and of words becomes one score.

The vectors' similarity is measured in the model's own spread of unrelated similarities. The words count by how much of
the question they cover, weighted by rarity: a passage that holds none of a Chinese question's words because it is
English loses nothing but that. Fusing the two lists by rank instead trusts the lists equally, and across languages the
lexical one is noise (docs/decisions/0006-fusion.md has the measurements of both).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from embedding_backend import EmbeddingModel
from pincite.lexical import STEM_SHARE, Sample, Term

# Full cover is worth this many spreads of similarity.
COVER_WEIGHT = 4.0
# Passages that have nothing to do with a question hold up to this share of its words' weight; of the many words of
# several sentences, less.
CHANCE_COVER = 0.3
CHANCE_COVER_OF_PARTS = 0.15
# A document whose name holds all of the question's words would gain this many spreads: "in the Upjohn supply agreement"
# picks the agreement, the rest of the question the clause.
NAMING_WEIGHT = 8.0
# And by so many times the spreads by which a sentence of the question is nearer to it than to others.
_MEANT_WEIGHT = 4.0
# A fragment of a document, a heading or the end of a list, is near to many questions and answers few: the shorter it is
# than this, in bytes of UTF-8, where a Hanzi counts for three letters, the more of this many spreads it loses.
_FRAGMENT_BYTES = 600
_FRAGMENT_WEIGHT = 1.0
# Evidence to the probability that a passage is about what is asked: a logistic curve fitted on English and Chinese
# questions over a mixed collection; fitted for each pair of languages alone, its middle moves by half a spread.
_SLOPE = 1.37
_MIDDLE = 2.96
# Words sent to a full-text index.
_MOST_TERMS = 64
# Below this score a passage has nothing to do with the question; one in a hundred that does is lost.
FLOOR = 0.15


@dataclass(frozen=True, slots=True)
class WeightedTerm:
    """A term of the question and its rarity in the collection, between 0 (everywhere) and 1 (nowhere in the sample)."""

    term: Term
    weight: float


def weigh(terms: Sequence[Term], sample: Sample) -> list[WeightedTerm]:
    """Return the terms with their inverse document frequency, estimated on a sample of passages."""
    size = max(1, sample.size)
    highest = math.log(1 + size / 0.5)
    return [WeightedTerm(term, math.log(1 + size / (sample.frequency(term) + 0.5)) / highest) for term in terms]


def rarest(terms: Sequence[WeightedTerm]) -> str:
    """Return the terms as words for a full-text index; of a pasted page the rarest."""
    return " ".join(weighted.term.needle for weighted in sorted(terms, key=lambda w: -w.weight)[:_MOST_TERMS])


def cover(terms: Sequence[WeightedTerm], lexical: str) -> float:
    """Return the share of the question's weight that a passage holds, in [0, 1]."""
    # Written out, as it is asked of a hundred passages for each term: as calls of `found_in` it costs twice as much.
    found = total = 0.0
    for weighted in terms:
        term, weight = weighted.term, weighted.weight
        total += weight
        if term.needle in lexical:
            found += weight
        elif term.loose and term.loose in lexical:
            found += weight * STEM_SHARE
    return found / total if total else 0.0


def naming(terms: Sequence[WeightedTerm], named: str) -> float:
    """Return the share of the question's weight that is in what a document is called, in [0, 1]."""
    return _share(terms, [weighted.term.names(named) for weighted in terms]) if named else 0.0


def _share(terms: Sequence[WeightedTerm], found: Sequence[float]) -> float:
    total = sum(weighted.weight for weighted in terms)
    return sum(weighted.weight * share for weighted, share in zip(terms, found, strict=True)) / total if total else 0.0


def brevity(lexical: str) -> float:
    """Return how much a passage is a fragment, in [0, 1]; not asked of the first of a document."""
    return max(0.0, 1 - len(lexical.encode()) / _FRAGMENT_BYTES)


def called(named: float, meant: float) -> float:
    """Return the evidence that a document is meant: by a share of the words in its name, by spreads of similarity."""
    return NAMING_WEIGHT * named + _MEANT_WEIGHT * meant


def evidence(
    model: EmbeddingModel, similarity: float, covered: float, document: float, brief: float, chance: float
) -> float:
    """Return the fused evidence for a passage, in spreads of unrelated similarity; cover counts beyond chance."""
    beyond_chance = max(0.0, covered - chance) / (1 - chance)
    by_meaning = (similarity - model.unrelated) / model.spread
    return by_meaning + COVER_WEIGHT * beyond_chance + document - _FRAGMENT_WEIGHT * brief


def probability(fused: float) -> float:
    """Return the score in [0, 1]: how probable it is that a passage with this evidence is about what is asked."""
    return 1 / (1 + math.exp(-_SLOPE * (fused - _MIDDLE)))
