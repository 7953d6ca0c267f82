"""Whether the passages found can hold the answer at all, before anyone quotes or writes."""

from pincite.passage import SearchResult

# A search returns what is on the question's subject; an answer needs more than that. Measured in
# docs/measurements/answers.md on questions whose document is there, and on the same questions without it.
ANSWER_FLOOR = 0.58


def may_answer(found: SearchResult) -> bool:
    """Say whether the best passage is close enough to the question that it may hold the answer."""
    return bool(found.passages) and found.passages[0].score >= ANSWER_FLOOR
