"""Answers made of what was found: quoted or written, each sentence checked against the passage it cites."""

from pincite.answers.answer import Answer, Quote, Sentence, Step, answer_shape
from pincite.answers.answering import Event, answer

__all__ = ["Answer", "Event", "Quote", "Sentence", "Step", "answer", "answer_shape"]
