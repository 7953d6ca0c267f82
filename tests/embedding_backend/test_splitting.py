"""Parts of a long text: together they are the text, and none is too long."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from embedding_backend.splitting import halves, split
from tests.embedding_backend.embedding_server import tokens_of

TEXTS = st.text(alphabet=st.sampled_from("ab 漢字。,.!\n\t\u0301é🙂"), min_size=1, max_size=600)


def words(texts: Sequence[str]) -> list[int]:
    return [len(tokens_of(text)) for text in texts]


def in_bytes(texts: Sequence[str]) -> list[int]:
    return [len(text.encode()) for text in texts]


@settings(deadline=None)
@given(TEXTS, st.integers(4, 40))
def test_no_token_is_lost(text: str, limit: int) -> None:
    parts = split(text, limit, words)
    assert "".join(parts) == text
    assert max(words(parts)) <= limit
    assert sum(words(parts)) >= len(tokens_of(text))


@settings(deadline=None)
@given(st.text(min_size=1, max_size=300), st.integers(4, 40))
def test_no_character_is_lost(text: str, limit: int) -> None:
    text = text.encode("utf-8", "replace").decode()
    parts = split(text, limit, in_bytes)
    assert "".join(parts) == text
    assert max(in_bytes(parts)) <= limit


@given(st.lists(st.sampled_from(["word", "another", "漢字", "end."]), min_size=40, max_size=120), st.integers(10, 60))
def test_where_words_end_the_parts_have_the_tokens_of_the_whole(chosen: list[str], limit: int) -> None:
    text = " ".join(chosen)
    assert sum(words(split(text, limit, words))) == len(tokens_of(text))


@given(st.text(min_size=2, max_size=300))
def test_halves_are_the_text(text: str) -> None:
    left, right = halves(text, in_bytes)
    assert left + right == text
    assert left
    assert right


def test_a_character_longer_than_the_limit_stands_alone() -> None:
    assert split("a🙂b", 2, in_bytes) == ["a", "🙂", "b"]


def test_a_boundary_where_a_part_begins_is_no_end_of_it() -> None:
    assert split("。🙂。", 4, in_bytes) == ["。", "🙂", "。"]
