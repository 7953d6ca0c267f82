"""A viewer address says what to show; whatever else it says is ignored, never an error."""

from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from http_server.viewer.target import MAX_MARKS, MAX_ZOOM, MIN_ZOOM, Target, parse_target


def test_page_passage_and_marks_are_read() -> None:
    target = parse_target(QueryParams("page=12&start=100&end=180&m=104-109&m=150-156&s=100-130&t=abc&lang=zh&z=1.5"))
    assert target == Target(
        token="abc",
        page=12,
        start=100,
        end=180,
        terms=((104, 109), (150, 156)),
        sentences=((100, 130),),
        language="zh",
        zoom=1.5,
    )


def test_what_a_chat_client_appends_is_ignored() -> None:
    plain = parse_target(QueryParams("page=3&t=abc"))
    assert parse_target(QueryParams("page=3&t=abc&chat_id=1&message_id=2&source_id=3")) == plain


@pytest.mark.parametrize(
    "query",
    [
        "page=-1",
        "page=1e9",
        "page=①",
        "start=x&end=y",
        "m=5",
        "m=9-3",
        "m=3-3",
        "m=1-2-3",
        "z=nan",
        "z=x",
        "start=9&end=2",
    ],
)
def test_malformed_values_are_not_asked_for(query: str) -> None:
    target = parse_target(QueryParams(query))
    assert (target.page, target.terms, target.zoom, target.has_passage) == (None, (), 1.0, False)


def test_zoom_and_the_number_of_marks_are_bounded() -> None:
    assert parse_target(QueryParams("z=99")).zoom == MAX_ZOOM
    assert parse_target(QueryParams("z=0.01")).zoom == MIN_ZOOM
    assert len(parse_target(QueryParams("&".join(f"m={i}-{i + 1}" for i in range(1000)))).terms) == MAX_MARKS


def test_a_link_to_the_next_page_keeps_the_passage_and_the_token() -> None:
    target = parse_target(QueryParams("page=12&start=100&end=180&m=104-109&t=a%26b"))
    assert parse_qs(target.query(page=13)[1:]) == {
        "page": ["13"],
        "start": ["100"],
        "end": ["180"],
        "m": ["104-109"],
        "t": ["a&b"],
    }


spans = st.tuples(st.integers(0, 10**6), st.integers(1, 10**4)).map(lambda span: (span[0], span[0] + span[1]))


@given(
    st.builds(
        Target,
        token=st.text(max_size=40),
        page=st.none() | st.integers(1, 10**6),
        part=st.none() | st.integers(1, 10**6),
        terms=st.lists(spans, max_size=5).map(tuple),
        sentences=st.lists(spans, max_size=5).map(tuple),
        language=st.sampled_from([None, "en", "zh"]),
        zoom=st.sampled_from([0.5, 1.0, 1.25, 4.0]),
    ),
    spans,
)
def test_every_target_survives_its_own_link(target: Target, passage: tuple[int, int]) -> None:
    link = target.query(start=passage[0], end=passage[1])
    again = parse_target(QueryParams(link[1:]))
    assert (again.start, again.end) == passage
    assert again.query(start=0, end=0) == target.query()
