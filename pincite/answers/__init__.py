"""Answers made of what was found: quoted or written, each sentence checked against the passage it cites."""

from pincite.answers.answer import Answer, Quote, Sentence, Step, answer_shape
from pincite.answers.answering import Event, answer, check
from pincite.answers.query_help import Help

__all__ = ["Answer", "Event", "Help", "Quote", "Sentence", "Step", "answer", "answer_shape", "check"]
