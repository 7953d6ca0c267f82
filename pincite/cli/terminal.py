"""What a terminal may be shown: text from documents and file names, without what the terminal would obey."""


def visible(text: str) -> str:
    """Return the text with every character that does not print, such as an escape, replaced; lines and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
