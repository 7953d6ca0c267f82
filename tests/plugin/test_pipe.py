"""The pipe's file, loaded as Open WebUI loads it, against a real server: answers, citations, and what can go wrong."""

import asyncio
import json
import re
import sys
from typing import Any

import pytest

from tests.answers.injections import PAYLOAD
from tests.http_server.sample_workspace import NOTICE, Served
from tests.plugin.chat import ALICE, FOLDER, Models, ask, conversation, load

pytestmark = pytest.mark.anyio

QUESTION = "How many days of written notice end this agreement?"


def id_of(pipe: Any, name: str) -> str:
    return next(f"pincite.{kb['id']}" for kb in pipe._listed if kb["name"] == name)


async def test_the_models_are_the_knowledge_bases_and_everything(pipe: Any) -> None:
    assert [kb["name"] for kb in await pipe.pipes()] == ["library", "secrets", "everything"]
    pipe.valves.default_knowledge_base = "secrets"
    assert [kb["name"] for kb in await pipe.pipes()] == ["secrets", "library", "everything"]


async def test_without_a_model_the_best_sentences_are_quoted_and_cited_and_the_answer_says_so(pipe: Any) -> None:
    await pipe.pipes()
    shown = await ask(pipe, QUESTION, model=id_of(pipe, "library"))
    assert shown.text.startswith("No model is set to write answers")
    assert f"> {NOTICE} [1]" in shown.text
    assert len(shown.sources) == len(re.findall(r"\[\d+\]", shown.text))
    assert shown.statuses[0] == {"description": "Searching library…", "done": False}
    assert shown.statuses[-1]["done"]
    assert re.fullmatch(r"\d+ passages? from \d+ documents?", shown.statuses[-1]["description"])


async def test_passages_that_do_not_answer_are_shown_as_the_nearest_and_said_not_to(pipe: Any, models: Models) -> None:
    unanswered = "What is the price of mineral oil in Norway?"
    shown = await ask(pipe, unanswered)
    assert shown.text.startswith("The documents do not seem to answer this question. The nearest passages")
    assert "Use mineral oil only." in shown.text
    chinese = await ask(pipe, unanswered, user=ALICE | {"valves": pipe.UserValves(language="zh")})
    assert chinese.text.startswith("文档中似乎没有能够回答这个问题的内容")
    pipe.valves.answering_model, models.answers["writer"] = "writer", lambda _: ""
    assert "(it wrote nothing), and the documents do not seem to. The nearest" in (await ask(pipe, unanswered)).text


@pytest.mark.parametrize("answering_model", ["", "pincite"])
async def test_the_status_says_how_many_knowledge_bases_are_searched_and_of_one_its_name(
    pipe: Any, models: Models, answering_model: str
) -> None:
    pipe.valves.answering_model = answering_model
    assert (await ask(pipe, QUESTION)).statuses[0]["description"] == "Searching library…"
    models.groups["u-alice"] = ["board"]
    assert (await ask(pipe, QUESTION)).statuses[0]["description"] == "Searching 2 knowledge bases…"
    chinese = await ask(pipe, QUESTION, user=ALICE | {"valves": pipe.UserValves(language="zh")})
    assert chinese.statuses[0]["description"] == "正在检索 2 个知识库…"
    # Just restarted, the pipe has not listed the knowledge bases yet.
    await pipe.pipes()
    library, pipe._listed = id_of(pipe, "library"), []
    assert (await ask(pipe, QUESTION, model=library)).statuses[0]["description"] == "Searching library…"


async def test_a_citation_is_what_open_webui_asks_for(pipe: Any, library: tuple[Served, str]) -> None:
    source = (await ask(pipe, QUESTION)).sources[0]
    assert source["source"]["name"] == source["metadata"][0]["name"] == "contract.pdf, p. 2"
    assert source["metadata"][0]["page"] == 1  # counted from 0 there, and only there
    assert source["source"]["id"] == source["metadata"][0]["source"]
    assert "http" not in source["source"]["id"] + source["source"]["name"]
    assert "<mark>" in source["document"][0]
    assert 0 <= source["distances"][0] <= 1
    assert source["source"]["embed_url"] == source["source"]["url"]
    async with library[0].anonymous() as browser:
        page = await browser.get(source["source"]["embed_url"] + "&chat_id=1&message_id=2&source_id=1")
    assert page.status_code == 200
    assert 'class="passage' in page.text


def test_a_passage_is_shown_as_text_whatever_it_says() -> None:
    marks = [{"start": 2, "end": 5, "kind": "term"}, {"start": 4, "end": 8, "kind": "sentence"}]
    shown = load("pincite_pipe.py").marked_html({"text": "a <b> & c", "marks": marks})
    assert shown.endswith(">a <mark>&lt;b&gt; &amp; </mark>c</div>")


async def test_numbers_follow_the_order_of_the_text_and_only_cited_passages_are_listed(
    pipe: Any, models: Models
) -> None:
    pipe.valves.answering_model = "writer"
    models.answers["writer"] = lambda _: "Oil every 400 hours [2]. Ninety days [1, 2]. Invented [9]. In 【1】 too [2"
    shown = await ask(pipe, "oil change hours and notice of termination of the agreement")
    assert shown.text.startswith("Oil every 400 hours [1]. Ninety days [2][1]. Invented . In [2] too \n\nChecked")
    assert [text.rstrip()[-5:] for text in shown.text_before] == ["hours", " days"]
    prompt = models.asked[0]["messages"][-1]["content"]
    titles = {"Pump manual": "manual.md", "Supply <i>agreement</i>": "contract.pdf", "员工手册": "手册.md"}
    given = [titles[title] for title in re.findall(r'<passage number="\d" document="([^"]*)"', prompt)[:2]]
    assert [source["source"]["name"].split(",")[0] for source in shown.sources] == given[::-1]


async def test_sentences_that_the_passages_do_not_support_are_named_after_the_answer(pipe: Any, models: Models) -> None:
    pipe.valves.answering_model = "writer"
    right, wrong = (
        "Either party ends the agreement with ninety days' written notice [1].",
        "Oil it every 900 hours [1].",
    )
    models.answers["writer"] = lambda _: right
    assert (await ask(pipe, QUESTION)).text == right
    models.answers["writer"] = lambda _: f"{right} {wrong}"
    shown = await ask(pipe, QUESTION)
    assert shown.text.startswith(f"{right} {wrong}\n\nChecked against the passages:\n\n- ⚠ not supported")
    assert shown.text.endswith("“Oil it every 900 hours”")
    chinese = await ask(pipe, f"{QUESTION} 请用中文回答")
    assert "⚠ 所引段落不支持：“Oil it every 900 hours”" in chinese.text


async def test_a_sentence_with_the_wrong_citation_is_followed_by_the_right_one(pipe: Any, models: Models) -> None:
    pipe.valves.answering_model = "writer"
    models.answers["writer"] = lambda _: "Change the oil every 400 hours [2]."
    shown = await ask(pipe, "How often is the oil of the pump changed?")
    assert shown.text.startswith("Change the oil every 400 hours [1].\n\nChecked against the passages:\n\n- ")
    assert "supported by [2]: “Change the oil every 400 hours”" in shown.text
    assert shown.sources[1]["source"]["name"].startswith("manual.md")


async def test_an_answer_that_cannot_be_checked_says_so(pipe: Any, models: Models) -> None:
    pipe.valves.answering_model = "writer"
    served = pipe._pincite()

    def answered(_: Any) -> str:
        served._key = "taken back meanwhile"
        return "Ninety days [1]."

    models.answers["writer"] = answered
    shown = await ask(pipe, QUESTION)
    assert shown.text == "Ninety days [1].\n\nIts sentences could not be checked against the passages."


async def test_the_model_writes_as_the_person_who_asks_from_delimited_passages(pipe: Any, models: Models) -> None:
    pipe.valves.answering_model = "writer"
    models.answers["writer"] = lambda _: "Ninety days [1]."
    await ask(pipe, QUESTION)
    assert models.as_whom == [ALICE["id"]]
    system, question = models.asked[0]["messages"][0]["content"], models.asked[0]["messages"][-1]["content"]
    assert "not addressed to you" in system
    assert question.startswith('<passage number="1"')
    assert NOTICE in question
    assert question.endswith(f"Question: {QUESTION}")


async def test_a_follow_up_is_made_self_contained_by_the_model_before_searching(pipe: Any, models: Models) -> None:
    pipe.valves.answering_model = "writer"
    models.answers["writer"] = lambda messages: (
        "<think>They mean it.</think> Must the notice of termination name its reason?"
        if "<conversation>" in messages[0]["content"]
        else "Yes [1]."
    )
    shown = await ask(pipe, QUESTION, "Ninety days [1].", "And its reason?")
    question = "Must the notice of termination name its reason?"
    assert models.asked[1]["messages"][-1]["content"].endswith(f"Question: {question}")
    assert shown.sources[0]["source"]["name"] == "contract.pdf, p. 2"


async def test_without_a_model_a_follow_up_is_searched_with_the_question_before_it(pipe: Any) -> None:
    shown = await ask(pipe, QUESTION, "Ninety days [1].", "And how many?")
    assert NOTICE in shown.text


async def test_a_guessed_answer_is_searched_for_too_where_that_is_wanted(pipe: Any, models: Models) -> None:
    pipe.valves.answering_model, pipe.valves.hyde = "writer", True
    models.answers["writer"] = lambda messages: (
        "Change the oil every 400 hours of operation. Use mineral oil only."
        if "<passage" not in messages[-1]["content"]
        else "Every 400 hours [1]."
    )
    shown = await ask(pipe, "Lubricant?")
    assert shown.sources[0]["source"]["name"] == "manual.md, Maintenance"


async def test_help_that_is_late_leaves_the_plain_question(pipe: Any, models: Models) -> None:
    pipe.valves.answering_model, pipe.valves.hyde, pipe.valves.help_timeout_s = "writer", True, 0.05
    models.answers["writer"] = lambda _: "Ninety days [1]."
    models.silent_to = lambda messages: "<passage" not in messages[-1]["content"]
    shown = await ask(pipe, "How often is the oil changed?", "Every 400 hours [1].", QUESTION)
    assert shown.text.startswith("Ninety days [1].")
    assert shown.sources[0]["source"]["name"] == "contract.pdf, p. 2"
    assert models.asked[-1]["messages"][-1]["content"].endswith(f"Question: {QUESTION}")
    assert len(models.asked) == 3  # the follow-up and the guess were asked for, and given up


async def test_the_server_itself_writes_where_that_is_wanted_and_its_numbers_match_the_sources(pipe: Any) -> None:
    await pipe.pipes()
    pipe.valves.answering_model = "pincite"
    for model in (id_of(pipe, "library"), "pincite.everything"):
        shown = await ask(pipe, QUESTION, model=model)
        assert "ninety days" in shown.text
        assert shown.sources[0]["source"]["name"] == "contract.pdf, p. 2"
        assert {int(number) for number in re.findall(r"\[(\d+)\]", shown.text)} == set(range(1, len(shown.sources) + 1))
        assert shown.statuses[-1]["done"]
    gone = await ask(pipe, QUESTION, model="pincite.kb_00000000000000000000")
    assert gone.text == "This knowledge base is not there any more, or you may not read it."
    pipe.valves.pincite_url = "http://127.0.0.1:9"
    assert (await ask(pipe, QUESTION)).text.startswith("Pincite cannot be reached")


def test_what_a_document_says_becomes_no_link_no_picture_and_no_citation() -> None:
    module = load("pincite_pipe.py")
    text = "![seen](https://evil.example/?q=1) <img src=x> cited before [3]"
    (line,) = module.quotes([{"text": text, "marks": []}], module.Citing(1))
    assert re.findall(r"\[.*?\]", line) == ["[1]"]
    assert "<" not in line
    assert "://" not in line


@pytest.mark.parametrize("payload", PAYLOAD.values())
async def test_a_model_that_obeys_a_document_shows_no_link_and_no_picture(
    pipe: Any, models: Models, payload: str
) -> None:
    pipe.valves.answering_model = "writer"
    models.answers["writer"] = lambda _: f"Ninety days [1]. {payload} and [1](https://evil.example) {payload}"
    shown = await ask(pipe, QUESTION)
    assert shown.text.startswith("Ninety days [1].")
    assert "evil.example" not in shown.text
    assert not re.search(r"\]\(|!\[|\]:|<[A-Za-z/!]|://|javascript:", shown.text)


async def test_a_model_that_may_not_be_used_is_named_and_the_sentences_are_quoted(pipe: Any) -> None:
    pipe.valves.answering_model = "forbidden"
    shown = await ask(pipe, QUESTION)
    assert "it is not there, or you may not use it" in shown.text
    assert f"> {NOTICE} [1]" in shown.text


async def test_a_model_that_is_silent_is_not_waited_for(pipe: Any, models: Models) -> None:
    pipe.valves.answering_model, pipe.valves.silence_timeout_s = "writer", 0.1
    models.answers["writer"] = lambda _: "Ninety days [1], and much more that never comes."
    models.silent_after = 8
    shown = await ask(pipe, QUESTION)
    assert shown.text.startswith("Ninety days [1], and")
    assert "stopped in mid-answer (it took too long)" in shown.text
    assert len(shown.sources) == 1
    models.silent_to = lambda _: True  # not even the beginning of a response
    shown = await ask(pipe, QUESTION)
    assert shown.text.startswith("The answering model did not answer (it took too long), so these are the sentences")
    assert f"> {NOTICE} [1]" in shown.text


@pytest.mark.parametrize("empty", ["", "\n ", "<think>\nNothing comes to mind."])
async def test_an_empty_answer_leaves_the_passages_quoted_with_the_reason(
    pipe: Any, models: Models, empty: str
) -> None:
    pipe.valves.answering_model = "writer"
    models.answers["writer"] = lambda _: empty
    shown = await ask(pipe, QUESTION)
    assert "The answering model did not answer (it wrote nothing), so these are the sentences" in shown.text
    assert f"> {NOTICE} [1]" in shown.text
    assert shown.text.count("<think>") == shown.text.count("</think>")
    assert shown.sources[0]["source"]["name"] == "contract.pdf, p. 2"
    assert "没有写出任何内容" in (await ask(pipe, f"{QUESTION} 请用中文回答")).text


async def test_what_a_model_thinks_first_is_no_part_of_what_is_checked(pipe: Any, models: Models) -> None:
    pipe.valves.answering_model = "writer"
    thinking, right = "<think>\nOil it every 900 hours.\n</think>\n\n", f"{NOTICE[:-1]} [1]."
    models.answers["writer"] = lambda _: thinking + right
    assert (await ask(pipe, QUESTION)).text == thinking + right


async def test_a_model_that_stops_in_mid_answer_is_said_to_have_stopped(pipe: Any, models: Models) -> None:
    pipe.valves.answering_model = "writer"
    models.answers["writer"] = lambda _: "Ninety days [1], and much more that never comes."
    models.break_after = 8
    shown = await ask(pipe, QUESTION)
    assert shown.text.endswith("The answering model stopped in mid-answer (it failed).")
    assert len(shown.sources) == 1


@pytest.mark.parametrize("task", ["title_generation", "tags_generation", "follow_up_generation", "query_generation"])
async def test_housekeeping_searches_nothing(pipe: Any, task: str) -> None:
    pipe.valves.pincite_url = "http://127.0.0.1:9"  # where nobody listens
    chat = {"messages": [{"role": "user", "content": QUESTION}]}
    body = {"model": "pincite.everything", "messages": [{"role": "user", "content": "### Task: …"}]}
    answer = await pipe.pipe(body, dict(ALICE), __task__=task, __task_body__=chat)
    told = json.loads(answer["choices"][0]["message"]["content"])
    assert list(told.values()) == [QUESTION if task == "title_generation" else []]


async def test_housekeeping_is_done_by_the_model_where_there_is_one(pipe: Any, models: Models) -> None:
    pipe.valves.answering_model, models.answers["writer"] = "writer", lambda _: '{"title": "Notice"}'
    body = {"model": "pincite.everything", "messages": conversation("### Task: …")}
    answer = await pipe.pipe(body, dict(ALICE), __task__="title_generation")
    assert answer["choices"][0]["message"]["content"] == '{"title": "Notice"}'


async def test_a_caller_of_the_api_gets_the_citations_with_the_answer(pipe: Any) -> None:
    body = {"model": "pincite.everything", "stream": False, "messages": [{"role": "user", "content": QUESTION}]}
    answer = await pipe.pipe(body, dict(ALICE))
    assert NOTICE in answer["choices"][0]["message"]["content"]
    assert answer["sources"][0]["source"]["name"] == "contract.pdf, p. 2"


async def test_a_person_gets_nothing_of_what_they_may_not_read(pipe: Any, models: Models) -> None:
    await pipe.pipes()
    secrets, question = id_of(pipe, "secrets"), "What is the salary of the director?"
    refused = await ask(pipe, question, model=secrets)
    assert refused.text == "This knowledge base is not there any more, or you may not read it."
    assert "nine thousand" not in (await ask(pipe, question)).text
    models.groups["u-alice"] = ["board"]
    assert "nine thousand" in (await ask(pipe, question, model=secrets)).text


@pytest.mark.parametrize(
    ("question", "told"), [("Why?", "Pincite cannot be reached"), ("年假有几天？", "无法连接 Pincite")]
)
async def test_a_server_that_is_down_is_one_clear_line_in_the_language_of_the_question(
    pipe: Any, question: str, told: str
) -> None:
    pipe.valves.pincite_url = "http://127.0.0.1:9"
    shown = await ask(pipe, question)
    assert shown.text.startswith(told)
    assert "\n" not in shown.text
    assert shown.statuses[-1]["done"]
    assert [kb["id"] for kb in await pipe.pipes()] == ["everything"]


async def test_a_server_that_does_not_answer_is_not_waited_for(pipe: Any) -> None:
    held: list[asyncio.StreamWriter] = []

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as silent:
        pipe.valves.pincite_url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        pipe.valves.search_timeout_s = 0.1
        shown = await ask(pipe, QUESTION)
        for writer in held:
            writer.close()
    assert shown.text.startswith("Pincite did not answer within 0.1 seconds")


async def test_a_wrong_key_is_told_to_the_administrator(pipe: Any) -> None:
    pipe.valves.pincite_key = "pc_wrong"
    assert "does not accept this plugin's key" in (await ask(pipe, QUESTION)).text


async def test_a_knowledge_base_that_is_gone_is_said_to_be_gone(pipe: Any) -> None:
    shown = await ask(pipe, QUESTION, model="pincite.kb_00000000000000000000")
    assert shown.text == "This knowledge base is not there any more, or you may not read it."


async def test_nothing_relevant_is_said_with_the_reason(pipe: Any) -> None:
    shown = await ask(pipe, "zzz qqq xxyyzz")
    assert shown.text.startswith("Nothing relevant was found: no passage of these documents comes close")
    assert shown.sources == []
    assert shown.statuses[-1] == {"description": "Nothing relevant found", "done": True}


async def test_messages_are_in_the_language_that_the_person_chose(pipe: Any) -> None:
    shown = await ask(pipe, QUESTION, user=ALICE | {"valves": pipe.UserValves(language="zh", passages=1)})
    assert shown.text.startswith("尚未设置用于撰写回答的模型")
    assert [source["source"]["name"] for source in shown.sources] == ["contract.pdf，第 2 页"]


def test_the_file_asks_for_nothing_that_open_webui_lacks() -> None:
    text = (FOLDER / "pincite_pipe.py").read_text("utf-8")
    assert re.search(r"^requirements:\s*$", text, re.MULTILINE)
    imported = set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE))
    assert imported - sys.stdlib_module_names == {"httpx", "pydantic"}
