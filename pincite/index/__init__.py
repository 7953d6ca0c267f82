"""The passages of a knowledge base, in LanceDB."""

import os

# What LanceDB warns of while it trains an index is for its developers; it reads this when it is imported.
os.environ.setdefault("LANCEDB_LOG", "error")

from pincite.index.cited_passage import CitedPassage
from pincite.index.document_rows import DocumentRows
from pincite.index.examination import Examination, examine
from pincite.index.grouped_writes import GroupedWrites
from pincite.index.rows import Window
from pincite.index.table import Index
from pincite.index.view import Hit, RowsMoved, View

__all__ = [
    "CitedPassage",
    "DocumentRows",
    "Examination",
    "GroupedWrites",
    "Hit",
    "Index",
    "RowsMoved",
    "View",
    "Window",
    "examine",
]
