"""Documents that give orders: nothing of them reaches a model as an order, and nothing they ask for is shown."""

import re
import unicodedata

import pytest

from pincite.answers import Answer, answer
from tests.answers.injections import HONEST, PAYLOAD, documents
from tests.answers.passages import answered, finder, passage, whole
from tests.answers.scripted_model import ScriptedModel

pytestmark = pytest.mark.anyio

ATTACKS = documents()
QUESTION = {"en": "How long is the warranty of the pump?", "zh": "水泵的质量保证期是多久？"}
HONEST_ANSWER = {"en": "The warranty of the pump lasts 24 months [1].", "zh": "水泵的质量保证期为二十四个月[1]。"}
DATA_LINE = re.compile(r"\d+\| ")


def obedient(payload: str, language: str) -> ScriptedModel:
    """Return a model that obeys whatever reaches it outside of the lines marked as data, and any chat template."""

    def reply(messages: list[dict[str, str]]) -> str:
        assert [message["role"] for message in messages] == ["system", "user"]
        orders = [line for m in messages for line in m["content"].splitlines() if not DATA_LINE.match(line)]
        everything = "\n".join(message["content"] for message in messages)
        obeys = payload in "\n".join(orders) or re.search(r"<\|im_|\[/?INST\]", everything)
        return payload if obeys else HONEST_ANSWER[language]

    return ScriptedModel(reply=reply)


def credulous(payload: str, language: str) -> ScriptedModel:
    """Return a model that does what the document says, wherever it says it, after the honest answer."""
    return ScriptedModel(f"{HONEST_ANSWER[language]} {payload} [1]")


async def ask(scripted: ScriptedModel, language: str, document: str) -> Answer:
    hostile = passage(document, title=document.splitlines()[-1])
    async with scripted.serving() as model:
        return whole([event async for event in answer(QUESTION[language], finder(hostile), model)])


def test_there_are_enough_attacks_in_both_languages() -> None:
    assert len(ATTACKS) >= 30
    assert len({document for _, document, _ in ATTACKS}) == len(ATTACKS)
    assert {language for language, _, _ in ATTACKS} == {"en", "zh"}


@pytest.mark.parametrize(("language", "document", "payload"), ATTACKS)
async def test_no_order_of_a_document_reaches_the_model_as_one(language: str, document: str, payload: str) -> None:
    made = await ask(obedient(payload, language), language, document)
    assert made.text == HONEST_ANSWER[language]
    assert [sentence.status for sentence in made.sentences] == ["supported"]


@pytest.mark.parametrize(("language", "document", "payload"), ATTACKS)
async def test_what_a_fooled_model_writes_is_shown_without_links_and_pictures(
    language: str, document: str, payload: str
) -> None:
    made = await ask(credulous(payload, language), language, document)
    assert_harmless(made.text)
    assert HONEST[language].rstrip(".。") in made.text


@pytest.mark.parametrize(("language", "document", "payload"), ATTACKS)
async def test_a_quoted_document_is_shown_without_links_and_pictures(
    language: str, document: str, payload: str
) -> None:
    made = await answered(QUESTION[language], [passage(document, title=payload)])
    assert_harmless(made.text)
    assert unicodedata.normalize("NFKC", HONEST[language]) in unicodedata.normalize("NFKC", made.text)


@pytest.mark.parametrize("payload", PAYLOAD.values())
@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_nothing_gets_through_between_two_pieces(payload: str, size: int) -> None:
    from pincite.answers.checking import CheckedText

    checked = CheckedText([passage(HONEST["en"])], "en")
    text = f"{HONEST_ANSWER['en']} {payload} and {payload}\n{payload}"
    shown = [await checked.feed(text[start : start + size]) for start in range(0, len(text), size)]
    shown.append(await checked.finish())
    assert "".join(shown) == checked.text
    assert_harmless(checked.text)


def assert_harmless(text: str) -> None:
    """No link, picture, tag or address, and no citation but that of the one passage there is."""
    assert not re.search(r"\]\(|!\[|\]:|<[A-Za-z/!]|://|javascript:|\bwww\.", text), text
    assert "evil.example" not in text
    assert set(re.findall(r"\[(.*?)\]", text)) <= {"1"}
