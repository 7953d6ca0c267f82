"""Whether the passages found can hold the answer at all, before anyone quotes or writes."""

from pincite.passage import SearchResult

# A search returns what is on the question's subject; an answer needs more than that. Measured in
# docs/measurements/answers.md on questions whose document is there, and on the same questions without it. The other
# scores, their gaps to the first, and whether the question's words, numbers and names are in the passages were tried
# beside it, across languages and cross-validated by article: they change nothing that matters.
ANSWER_FLOOR = 0.5
# A language model reads the passages and says itself that they do not answer, so it is asked about less likely ones.
WRITER_FLOOR = 0.3


def may_answer(found: SearchResult, *, floor: float = ANSWER_FLOOR) -> bool:
    """Say whether the best passage is close enough to the question that it may hold the answer."""
    return bool(found.passages) and found.passages[0].score >= floor
