"""What fits into a result: estimates of tokens, cuts, cursors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.budget import InvalidCursor, estimated_tokens, head, make_cursor, open_cursor


@given(st.text(max_size=3000), st.integers(min_value=0, max_value=800))
def test_a_cut_is_a_beginning_that_fits(text: str, tokens: int) -> None:
    cut = head(text, tokens)
    assert text.startswith(cut)
    assert estimated_tokens(cut) <= tokens
    if estimated_tokens(text) <= tokens:
        assert cut == text


def test_a_cut_falls_behind_a_space_where_one_is_near() -> None:
    assert head("one two three four five six", 4).endswith(" ")


def test_chinese_counts_a_token_a_character() -> None:
    assert estimated_tokens("合同总价") == 4


@given(st.integers(min_value=0, max_value=10**9), st.text(max_size=50))
def test_a_cursor_opens_where_it_was_made(offset: int, scope: str) -> None:
    assert open_cursor(make_cursor(offset, scope), scope) == offset


def test_no_cursor_is_the_beginning() -> None:
    assert open_cursor(None, "anything") == 0


@pytest.mark.parametrize("cursor", ["", "%%%", "bnVsbA==", "WzFd", "e30=", "中文", make_cursor(3, "another")])
def test_a_cursor_that_is_not_ours_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        open_cursor(cursor, "this")
