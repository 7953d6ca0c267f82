"""Every setting of the server and of a knowledge base: one tree, one prefix, defaults in one place."""

from pincite.settings.knowledge_base import KnowledgeBaseSettings
from pincite.settings.page import settings_markdown
from pincite.settings.server import CATALOG_FILE, Settings, load_settings

__all__ = ["CATALOG_FILE", "KnowledgeBaseSettings", "Settings", "load_settings", "settings_markdown"]
