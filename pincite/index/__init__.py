"""The passages of a knowledge base, in LanceDB."""

from pincite.index.table import Hit, Index

__all__ = ["Hit", "Index"]
