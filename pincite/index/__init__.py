"""The passages of a knowledge base, in LanceDB."""

from pincite.index.cited_passage import CitedPassage
from pincite.index.rows import Window
from pincite.index.table import Index
from pincite.index.view import Hit, RowsMoved, View

__all__ = ["CitedPassage", "Hit", "Index", "RowsMoved", "View", "Window"]
