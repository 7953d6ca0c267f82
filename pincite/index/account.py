"""What of a document stands in its passages, counted so that nothing can be lost unseen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from embedding_backend import EmbeddingModel, PassageText
from pincite.chunking import Chunk, CountTokens
from pincite.document import Document


@dataclass(frozen=True, slots=True)
class Account:
    """Characters of a text that are not white space, and those of its passages; tokens of these, and those embedded."""

    characters: int
    characters_in_passages: int
    tokens: int
    tokens_embedded: int


def account(
    document: Document,
    chunks: Sequence[Chunk],
    texts: Sequence[PassageText],
    model: EmbeddingModel,
    count_tokens: CountTokens,
) -> Account:
    """Count a document's passages, of which each has a vector for each window of its text."""
    tokens = count_tokens([passage.text for passage in texts])
    return Account(
        characters=visible(document.text),
        characters_in_passages=covered(document.text, ((chunk.start, chunk.end) for chunk in chunks)),
        tokens=sum(tokens),
        tokens_embedded=sum(
            min(_embedded(document, chunk, text, count, count_tokens), model.max_tokens)
            for chunk, text, count in zip(chunks, texts, tokens, strict=True)
        ),
    )


def visible(text: str) -> int:
    """Return how many characters are not white space."""
    return sum(map(len, text.split()))


def covered(text: str, ranges: Iterable[tuple[int, int]]) -> int:
    """Return how many characters that are not white space lie in any of the ranges, each counted once."""
    count, reached = 0, 0
    for start, end in sorted(ranges):
        count += visible(text[max(start, reached) : end])
        reached = max(reached, end)
    return count


def _embedded(document: Document, chunk: Chunk, passage: PassageText, tokens: int, count_tokens: CountTokens) -> int:
    """Return the tokens that the passage's vectors stand for, without what no window holds."""
    whole = chunk.windows == ((chunk.start, chunk.end),)
    if not whole and covered(document.text, chunk.windows) < visible(document.text[chunk.start : chunk.end]):
        parts = [document.text[start:end] for start, end in chunk.windows]
        [tokens] = count_tokens([chunk.context + "".join(parts)])
    return tokens
