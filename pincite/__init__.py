"""Pincite: one knowledge base for people and agents, cited to the exact page."""

__version__ = "0.1.0"
