"""The viewer speaks the language asked for, else the one the browser prefers, else English."""

import string

import pytest

from http_server.viewer.language import MESSAGES, choose_language


@pytest.mark.parametrize(
    ("asked", "accepted", "chosen"),
    [
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "de,en;q=0.7,zh;q=0.8", "zh"),
        (None, "fr-FR,fr", "en"),
        (None, "zh;q=0,fr", "en"),
        (None, "zh;q=broken,en", "en"),
        (None, "", "en"),
        ("en", "zh-CN", "en"),
        ("zh", "en", "zh"),
        ("xx", "zh", "zh"),
    ],
)
def test_the_language_is_chosen(asked: str | None, accepted: str, chosen: str) -> None:
    assert choose_language(asked, accepted) == chosen


def test_every_message_exists_in_every_language_with_the_same_values_to_fill_in() -> None:
    english = MESSAGES["en"]
    for language, messages in MESSAGES.items():
        said = {name: message for name, message in messages.items() if not name.startswith("help_")}
        assert said.keys() == english.keys(), language
        for name, message in said.items():
            assert fields(message) == fields(english[name]), (language, name)


def fields(message: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(message) if name}
