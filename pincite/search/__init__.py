"""Questions to cited passages."""

from pincite.search.reranking import Reranking
from pincite.search.retrieval import LONGEST_QUESTION, MOST_PASSAGES, check, search

__all__ = ["LONGEST_QUESTION", "MOST_PASSAGES", "Reranking", "check", "search"]
