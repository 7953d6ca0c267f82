"""How a document's file name is shown: as a title, and inside a message."""

import re
import unicodedata
from pathlib import PurePosixPath

MAX_SHOWN = 120
_NO_TITLE = re.compile(
    r"^(?:microsoft (?:word|powerpoint|excel)\b|untitled|无标题|无题"
    r"|(?:document|文档|文書|presentation|演示文稿|slide|book|工作簿)\s*\d*$"
    r"|powerpoint (?:presentation|演示文稿|プレゼンテーション)|(?:word|excel) (?:document|文档)$)"
    r"|\.(?:docx?|xlsx?|pptx?|pdf|rtf|txt|dotx?)$",
    re.IGNORECASE,
)


def shown_name(name: str) -> str:
    """Return the file name of `name` fit for a message: no folder, no control or direction-changing character."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    clean = "".join(c for c in last if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}).strip()
    return clean if len(clean) <= MAX_SHOWN else clean[: MAX_SHOWN - 1] + "…"


def title_from_name(name: str) -> str:
    """Return the title of a document that has none of its own: its file name without the extension."""
    shown = shown_name(name)
    return PurePosixPath(shown).stem.strip() or shown or "untitled"


def clean_title(title: str | None) -> str:
    """Return `title` on one line without control characters, or "" where nothing is left of it."""
    if not title:
        return ""
    one_line = " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in title).split())
    return "".join(c for c in one_line if unicodedata.category(c) not in {"Cf", "Cs"}).strip()[:300]


def sensible_title(title: str) -> str:
    """Return `title`, or "" where a program rather than a person wrote it."""
    clean = clean_title(title)
    return "" if len(clean) < 2 or _NO_TITLE.search(clean) else clean
