"""Answers by a language model: what it is told, what is checked, and what becomes of each way it can fail."""

import asyncio
import logging
import re

import pytest

from pincite.answers import Answer, answer
from pincite.answers.checking import CheckedText
from pincite.answers.facts import normalised
from pincite.answers.language_model import LanguageModel
from pincite.answers.prompting import NOT_FOUND
from pincite.passage import Passage
from tests.answers.passages import finder, passage, whole
from tests.answers.scripted_model import ScriptedModel

pytestmark = pytest.mark.anyio

SIX_YEARS = "Employees have 29 days of annual leave after six years of service."
PAYDAY = "Salaries are paid on the 25th of the month."
LEAVE = f"{SIX_YEARS} Leave that is not taken by 31 March lapses."
PAY = f"{PAYDAY} The company card has a monthly limit of 1,500 pounds."
KEYS = "4.2 API密钥的有效期为九十日，期满前应当更换。密钥不得写入日志。"
PASSAGES = (passage(LEAVE), passage(PAY, number=2, page=9), passage(KEYS, number=3, title="合同", page=7))
QUESTION = "How many days of annual leave are there after six years, and when are salaries paid?"


async def written(
    text: str, *, question: str = QUESTION, passages: tuple[Passage, ...] = PASSAGES, goes: str = "well"
) -> Answer:
    async with ScriptedModel(text, goes).serving() as model:
        return whole([event async for event in answer(question, finder(*passages), model)])


async def test_supported_sentences_keep_their_citations() -> None:
    text = "After six years there are 29 days of annual leave [1]. Salaries are paid on the 25th [2]."
    made = await written(text)
    assert (made.kind, made.complete, made.text) == ("written", True, text)
    assert [(s.status, s.citations) for s in made.sentences] == [("supported", (1,)), ("supported", (2,))]
    for sentence in made.sentences:
        [quote] = sentence.quotes
        assert PASSAGES[quote.number - 1].text[quote.start : quote.end] in (
            SIX_YEARS,
            PAYDAY,
        )


async def test_a_citation_of_the_wrong_passage_is_pointed_at_the_right_one() -> None:
    made = await written("After six years there are 29 days of annual leave [2].")
    assert made.text == "After six years there are 29 days of annual leave [1]."
    assert [(s.status, s.citations) for s in made.sentences] == [("repaired", (1,))]


async def test_a_sentence_without_a_citation_gets_one() -> None:
    made = await written("There are 29 days of annual leave after six years. Salaries are paid on the 25th.\n")
    assert made.text == ("There are 29 days of annual leave after six years. [1] Salaries are paid on the 25th. [2]")


@pytest.mark.parametrize(
    "sentence",
    [
        "After six years there are 31 days of annual leave",
        "Salaries are not paid on the 25th of the month",
        "The company card has a monthly limit of 1,500 euros",
        "The handbook says “leave may be sold”",
        "The canteen serves breakfast from seven",
        "In Paris salaries are paid on the 25th",
    ],
)
async def test_what_no_passage_says_is_marked(sentence: str) -> None:
    made = await written(f"Salaries are paid on the 25th [2]. {sentence} [1].")
    assert f"{sentence} [1] (⚠ unsupported)." in made.text
    [fine, marked] = made.sentences
    assert (fine.status, marked.status) == ("supported", "unsupported")
    assert marked.problem


async def test_citations_of_passages_that_do_not_exist_never_reach_the_reader() -> None:
    made = await written(
        "After six years there are 29 days of annual leave [7][12]. Salaries are paid on the 25th [2, 40]."
    )
    assert made.text == "After six years there are 29 days of annual leave [1]. Salaries are paid on the 25th [2]."
    assert [s.status for s in made.sentences] == ["repaired", "supported"]


CITED = [
    "[2]",
    "[2, 7]",
    "[1-3]",
    "[1–3]",
    "[1, 2 and 9]",
    "[2][9]",
    "[ 2 ]",
    "[^2]",
    "[#2]",
    "[Source: 2]",
    "[passages 2, 7]",
]
CITED += [
    "【2】",
    "【2†source】",
    "［2］",
    "〔2〕",
    "[来源2]",
    "[2、9]",
    "【2】【9】",
    "[２]",
    "[9]",
    "[0]",
    "[2",
    "[2, ",
    "【2†sou",
    "[Source: 2",
]


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("form", CITED)
async def test_a_citation_is_read_however_it_is_written_and_wherever_it_is_cut(form: str, size: int) -> None:
    checked = CheckedText(PASSAGES, "en")
    text = f"{PAYDAY[:-1]} {form}"
    shown = [await checked.feed(text[start : start + size]) for start in range(0, len(text), size)]
    shown.append(await checked.finish())
    assert "".join(shown) == f"{PAYDAY[:-1]} [2]"


@pytest.mark.parametrize(
    "text", ["Act [2015] 2 AC 1", "a[i] = 3", "costs [***] a day", "国发〔2024〕12号", "[sic] and [12"]
)
async def test_other_brackets_are_no_citations(text: str) -> None:
    checked = CheckedText(PASSAGES, "en")
    shown = await checked.feed(f"{text} and more\n") + await checked.finish()
    assert not re.search(r"\[\d", shown.replace(" [1]", "").replace(" [2]", ""))
    assert normalised(text) in normalised(shown)


async def test_chinese_is_checked_and_marked_in_chinese() -> None:
    made = await written("API密钥的有效期为90天【3】。密钥可以写入日志[3]。", question="API密钥有效期是多久?")
    assert made.text == "API密钥的有效期为90天[3]。密钥可以写入日志[3]（⚠ 无依据）。"


async def test_words_pass_at_once_and_only_citations_wait() -> None:
    checked = CheckedText(PASSAGES, "en")
    assert await checked.feed("Salaries are paid on the 25th of the mon") == "Salaries are paid on the 25th of the"
    assert await checked.feed("th [") == " month"
    assert await checked.feed("1]") == ""
    assert await checked.feed(". And") == " [2]."
    assert await checked.finish() == " And"


async def test_the_model_is_told_the_rules_and_gets_the_passages_as_numbered_lines() -> None:
    scripted = ScriptedModel("Salaries are paid on the 25th [2].")
    async with scripted.serving() as model:
        whole([event async for event in answer(QUESTION, finder(*PASSAGES), model)])
    [asked] = scripted.asked
    system, user = asked["messages"]
    assert (system["role"], user["role"], asked["stream"], asked["model"]) == ("system", "user", True, "scripted")
    assert scripted.keys == ["Bearer a key"]
    assert QUESTION in user["content"]
    for line in user["content"].splitlines():
        assert line.startswith(("1| ", "2| ", "3| ", "The passages:", "The question: ")) or not line
    for text in (LEAVE, PAY, KEYS):
        assert text not in system["content"]


async def test_not_found_is_a_refusal_with_the_nearest_passages() -> None:
    for text in (NOT_FOUND, f"\n{NOT_FOUND}.", f"{NOT_FOUND} The passages are about leave."):
        made = await written(text)
        assert made.kind == "refusal"
        assert made.text.startswith("The documents do not seem to answer this question.")
        assert SIX_YEARS in made.text


# Each way a language model can fail: what the reader gets, and the note that says why.
FAILURES = [
    ("", "failing", "extractive", "answered 500"),
    ("", "page", "extractive", "something else than chat completions"),
    ("", "garbage", "extractive", "no JSON"),
    ("", "other", "extractive", "something else than chat completions"),
    ("", "cut", "extractive", "something else than chat completions"),
    ("", "well", "extractive", "wrote nothing"),
    ("", "error", "extractive", "reported an error"),
    ("I'm sorry, but I can't help with that request.", "well", "extractive", "declined"),
    ("抱歉，我无法回答这个问题。", "well", "extractive", "declined"),
    ("Salaries are paid on the 25th [2]. There are", "cut", "written", "broke off"),
    ("Salaries are paid on the 25th [2]. There are", "error", "written", "reported an error"),
    ("Salaries are paid on the 25th [2]. There are", "garbage", "written", "no JSON"),
    ("Salaries are paid on the 25th [2]. There are", "length", "written", "PINCITE_LLM_MAX_TOKENS"),
]


@pytest.mark.parametrize(("text", "goes", "kind", "note"), FAILURES)
async def test_a_model_that_fails_leaves_a_clear_answer_with_the_passages(
    text: str, goes: str, kind: str, note: str
) -> None:
    made = await written(text, goes=goes)
    assert made.kind == kind
    assert any(note in told for told in made.notes)
    assert made.passages == PASSAGES
    assert "a secret of the server" not in f"{made.notes}{made.text}"
    if kind == "extractive":
        assert made.text.startswith("Quoted word for word")
    else:
        assert (made.complete, "broke off here" in made.text) == (False, True)


async def test_a_model_that_is_away_or_silent_leaves_quotes() -> None:
    away = LanguageModel("http://127.0.0.1:9", None, None, timeout_s=5, max_tokens=100)
    made = whole([event async for event in answer(QUESTION, finder(*PASSAGES), away)])
    await away.close()
    assert (made.kind, any("cannot be reached" in note for note in made.notes)) == ("extractive", True)
    async with ScriptedModel(goes="silent").serving(timeout_s=0.05) as model:
        made = whole([event async for event in answer(QUESTION, finder(*PASSAGES), model)])
    assert (made.kind, any("silent for 0.05 s" in note for note in made.notes)) == ("extractive", True)


@pytest.mark.parametrize(
    ("limits", "note"),
    [({"timeout_s": 3.0}, "silent for 3 s"), ({"max_s": 3.0}, "did not finish within 3 s")],
)
async def test_a_model_that_falls_silent_in_mid_answer_leaves_what_it_wrote(
    limits: dict[str, float], note: str
) -> None:
    async with ScriptedModel("Salaries are paid on the 25th [2]. There are", "silent").serving(**limits) as model:
        made = whole([event async for event in answer(QUESTION, finder(*PASSAGES), model)])
    assert made.text.startswith("Salaries are paid on the 25th [2]. There are")
    assert (made.kind, made.complete, made.passages) == ("written", False, PASSAGES)
    assert any(note in told for told in made.notes)


async def test_a_server_that_does_not_stream_is_read_all_the_same() -> None:
    made = await written("Salaries are paid on the 25th [2].", goes="whole")
    assert (made.text, made.complete) == ("Salaries are paid on the 25th [2].", True)


@pytest.mark.parametrize("tags", [("<think>", "</think>"), ("\n<|begin_of_thought|>", "<|end_of_thought|>")])
@pytest.mark.parametrize("goes", ["well", "whole"])
async def test_what_a_model_thinks_first_is_no_part_of_the_answer(tags: tuple[str, str], goes: str) -> None:
    thought = f"{tags[0]}\nThe staff canteen opens at seven, <i>perhaps</i> [1].\n{tags[1]}\n\n"
    made = await written(f"{thought}Salaries are paid on the 25th [2].", goes=goes)
    assert made.text == "Salaries are paid on the 25th [2]."
    assert [sentence.status for sentence in made.sentences] == ["supported"]


async def test_a_model_that_thinks_without_end_leaves_quotes() -> None:
    made = await written("<think> When are salaries paid? Perhaps on the 25th [2].")
    assert (made.kind, any("wrote nothing" in note for note in made.notes)) == ("extractive", True)


async def test_an_answer_that_ignores_the_format_and_the_passages_is_followed_by_what_they_say() -> None:
    made = await written("# Hello!\n\nBananas are a healthy breakfast. Everyone loves bananas for breakfast.")
    assert "No sentence of this answer is supported" in made.text
    assert SIX_YEARS in made.text
    assert {s.status for s in made.sentences} == {"unsupported", "supported"}


async def test_a_reader_who_leaves_ends_the_writing() -> None:
    scripted = ScriptedModel("Salaries are paid on the 25th of the month [2]. ", "silent")
    async with scripted.serving() as model:
        events = answer(QUESTION, finder(*PASSAGES), model)
        await anext(events)
        assert "Salaries" in str(await anext(events))
        await asyncio.wait_for(events.aclose(), 10)


async def test_neither_prompts_nor_answers_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await written("Salaries are paid on the 25th [2].")
        await written("", goes="failing")
    assert not any(words in record.getMessage() for record in caplog.records for words in ("Salaries", QUESTION))
