"""What a row must be, in the table's SQL."""

from pincite.passage import SearchFilter


def quoted(value: str) -> str:
    """Return the value as an SQL string."""
    return "'" + value.replace("'", "''") + "'"


def condition(where: SearchFilter | None) -> str:
    """Return the condition that a row passes the filter, empty for none."""
    if where is None:
        return ""
    documents = ", ".join(quoted(i) for i in where.document_ids)
    media_types = ", ".join(quoted(m) for m in where.media_types)
    return all_of(
        f"document_id IN ({documents})" if documents else "",
        f"starts_with(path, {quoted(where.path_prefix)})" if where.path_prefix else "",
        f"media_type IN ({media_types})" if media_types else "",
    )


def all_of(*conditions: str) -> str:
    """Return the conditions joined, without the empty ones."""
    return " AND ".join(condition for condition in conditions if condition)
