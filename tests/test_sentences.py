"""Where sentences begin and end."""

from pincite.sentences import sentences


def test_the_sentences_of_a_long_text_are_whole_to_its_end() -> None:
    paragraphs = [f"Clause {number} binds both of the parties to this agreement." for number in range(1_000)]
    text = "\n\n".join(paragraphs)
    assert [text[start:end] for start, end in sentences(text)] == paragraphs


def test_what_the_segmenter_panics_on_is_a_sentence_and_the_rest_is_cut() -> None:
    text = "It was Louis V\u00a0.\nThe king lived. He died."
    assert [text[start:end] for start, end in sentences(text)] == [
        "It was Louis V\u00a0.",
        "The king lived.",
        "He died.",
    ]
