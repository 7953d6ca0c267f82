"""Help for a question: what is searched for besides it, what the trace tells, and that failures change nothing."""

import pytest

from pincite.answers import Answer, Help, answer
from pincite.passage import SearchResult
from tests.answers.passages import found, passage, whole
from tests.answers.scripted_model import ScriptedModel

pytestmark = pytest.mark.anyio

LONDON = passage("The hotel limit in London is 175 pounds.", marked="The hotel limit in London is 175 pounds.")
CHINA = passage("The daily allowance in China is 40 pounds.", number=2, page=10)
HISTORY = [
    {"role": "user", "content": "What is the hotel limit in China?"},
    {"role": "assistant", "content": "It is 120 pounds [1]."},
]


class Searches:
    """A search that remembers what it was asked, and knows London and China by name."""

    def __init__(self, score: float = 0.9) -> None:
        self.asked: list[str] = []
        self._score = score

    async def find(self, question: str) -> SearchResult:
        self.asked.append(question)
        known = [p for p, name in ((LONDON, "London"), (CHINA, "China")) if name in question]
        return found(question, *(known if self._score > 0.5 else ()))


def helpful(rule: str, reply: str) -> ScriptedModel:
    """Return a model that replies to the rule that holds these words, and answers everything else honestly."""
    return ScriptedModel(reply=lambda messages: reply if rule in messages[0]["content"] else "NOT_FOUND")


async def ask(scripted: ScriptedModel, searches: Searches, question: str, helps: Help) -> Answer:
    async with scripted.serving() as model:
        events = answer(question, searches.find, model, history=HISTORY, helps=helps)
        return whole([event async for event in events])


async def test_a_follow_up_is_asked_whole() -> None:
    searches = Searches()
    whole_one = "What is the hotel limit in London?"
    made = await ask(helpful("Rewrite the last question", whole_one), searches, "And there?", Help(follow_up=True))
    assert searches.asked == [whole_one]
    assert made.question == whole_one
    assert (made.trace[0].name, made.trace[0].outcome) == ("follow-up", f"asked as: {whole_one}")


async def test_what_a_model_thinks_before_it_helps_is_not_searched_for() -> None:
    searches, whole_one = Searches(), "What is the hotel limit in London?"
    thinking = helpful("Rewrite the last question", f"<think>\nThere means London.\n</think>\n\n{whole_one}")
    await ask(thinking, searches, "And there?", Help(follow_up=True))
    assert searches.asked == [whole_one]


async def test_the_parts_of_a_compound_question_are_searched_for_as_well() -> None:
    searches = Searches()
    parts = "1. What is the hotel limit in London?\n2. What is the daily allowance in China?"
    question = "What is the hotel limit in London, and the allowance over there?"
    made = await ask(helpful("several things", parts), searches, question, Help(sub_questions=True))
    assert searches.asked[0] == question
    assert {p.id for p in made.passages} == {LONDON.id, CHINA.id}
    assert any(step.name == "sub-questions" and step.outcome.startswith("2 questions") for step in made.trace)


async def test_an_imagined_answer_adds_to_what_the_question_finds_and_replaces_nothing() -> None:
    searches = Searches()
    imagined = helpful("as they might stand", "The allowance in China is 40 pounds a day.")
    made = await ask(imagined, searches, "What is the limit in London?", Help(hyde=True))
    assert [p.id for p in made.passages] == [LONDON.id, CHINA.id]
    assert made.passages[1].score < CHINA.score


async def test_an_imagined_answer_is_no_reason_to_answer() -> None:
    searches = Searches(score=0)
    imagined = helpful("as they might stand", "The allowance in China is 40 pounds a day.")
    made = await ask(imagined, searches, "What is the limit in London?", Help(hyde=True))
    assert (made.kind, len(searches.asked)) == ("refusal", 1)


@pytest.mark.parametrize("helps", [Help(follow_up=True), Help(hyde=True), Help(sub_questions=True)])
async def test_a_help_that_fails_is_left_out_and_the_trace_says_so(helps: Help) -> None:
    searches = Searches()
    made = await ask(ScriptedModel(goes="failing"), searches, "What is the limit in London?", helps)
    assert searches.asked == ["What is the limit in London?"]
    assert made.kind == "extractive"
    assert any(step.outcome.startswith("left out: ") for step in made.trace)


ALL = Help(follow_up=True, hyde=True, sub_questions=True, timeout_s=0.05)
LATE = "left out: the language model did not answer within 0.05 s"


def asked_for_help(messages: list[dict[str, str]]) -> bool:
    """Say whether a model is asked for help, and not for the answer."""
    return "passages" not in messages[0]["content"]


async def test_helps_that_come_too_late_leave_the_evidence_of_the_plain_question() -> None:
    searches, question = Searches(), "What is the limit in London?"
    scripted = ScriptedModel("The hotel limit in London is 175 pounds [1].", silent_to=asked_for_help)
    made = await ask(scripted, searches, question, ALL)
    assert searches.asked == [question]
    assert (made.question, made.kind, made.passages) == (question, "written", (LONDON,))
    assert made.text == "The hotel limit in London is 175 pounds [1]."
    told = {step.name: step.outcome for step in made.trace}
    assert (told["follow-up"], told["sub-questions"], told["hyde"]) == (LATE, LATE, LATE)


async def test_a_model_that_never_answers_leaves_quotes_of_what_the_plain_question_finds() -> None:
    searches, question = Searches(), "What is the limit in London?"
    scripted = ScriptedModel(goes="silent")
    async with scripted.serving(timeout_s=0.5) as model:
        made = whole([event async for event in answer(question, searches.find, model, history=HISTORY, helps=ALL)])
    assert (searches.asked, made.kind, made.passages) == ([question], "extractive", (LONDON,))
    assert sum(step.outcome.startswith("left out: ") for step in made.trace) == 3
    assert any("silent for 0.5 s" in note for note in made.notes)


async def test_without_a_language_model_the_trace_says_that_help_needs_one() -> None:
    events = [event async for event in answer("London?", Searches().find, helps=Help(hyde=True))]
    assert any("PINCITE_LLM_URL" in step.outcome for step in whole(events).trace)
