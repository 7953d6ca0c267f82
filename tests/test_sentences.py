"""Where sentences begin and end."""

from collections.abc import Iterable

import pytest
import sentencex

from pincite.sentences import sentences


def test_the_sentences_of_a_long_text_are_whole_to_its_end() -> None:
    paragraphs = [f"Clause {number} binds both of the parties to this agreement." for number in range(1_000)]
    text = "\n\n".join(paragraphs)
    assert [text[start:end] for start, end in sentences(text)] == paragraphs


def test_white_space_of_every_kind_divides_and_is_left_as_it_is() -> None:
    text = "It was Louis V\u00a0. The king\u3000lived.\u2003He died. V\u3000。"
    assert [text[start:end] for start, end in sentences(text)] == [
        "It was Louis V\u00a0.",
        "The king\u3000lived.",
        "He died.",
        "V\u3000。",
    ]


def test_a_line_on_which_the_segmenter_panics_is_one_sentence_and_the_rest_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class PanicException(BaseException):
        pass

    def segment(language: str, text: str) -> Iterable[str]:
        if "queen" in text:
            raise PanicException
        found: Iterable[str] = given(language, text)
        return found

    given = sentencex.segment
    monkeypatch.setattr(sentencex, "segment", segment)
    text = "The king lived. He died.\nThe queen lived. She died."
    assert [text[start:end] for start, end in sentences(text)] == [
        "The king lived.",
        "He died.",
        "The queen lived. She died.",
    ]
