"""Finding exact words in one document: as many places as fit the token budget, and a cursor for the rest."""

from mcp_server.budget import estimated_tokens, make_cursor, open_cursor
from mcp_server.reading import pointer
from mcp_server.results import BoxOnPage, FindOutput, FoundPlace
from pincite.access import Principal
from pincite.finding import Occurrence
from pincite.workspace import Workspace

FRAME_TOKENS = 120
# A place takes about 90 tokens; what does not fit is looked up again by cursor.
PLACES_PER_TOKEN = 1 / 60


async def find(
    workspace: Workspace, who: Principal, document_id: str, wanted: str, *, cursor: str | None, budget: int
) -> FindOutput:
    """Return the places where `wanted` stands in the document, verbatim, in the order of its text.

    Raises:
        UnknownDocument: there is none that may be read.
        InvalidRequest: nothing is wanted, or too much; or the cursor belongs to something else.
    """
    scope = f"{document_id}\0{wanted}"
    begin = open_cursor(cursor, scope)
    record = await workspace.document(who, document_id)
    limit = max(int(budget * PLACES_PER_TOKEN), 1)
    occurrences = await workspace.find(who, document_id, wanted, skip=begin, limit=limit)
    places: list[FoundPlace] = []
    left = budget - FRAME_TOKENS - estimated_tokens(record.title)
    for occurrence in occurrences.found:
        url = workspace.view_url(who, pointer(record, occurrence.start, occurrence.end, occurrence.page))
        place = _place(occurrence, url)
        left -= estimated_tokens(place.model_dump_json(exclude_defaults=True))
        if left < 0 and places:
            break
        places.append(place)
    end = begin + len(places)
    more = make_cursor(end, scope) if end < occurrences.total else None
    return FindOutput(document=record.id, title=record.title, total=occurrences.total, places=places, next_cursor=more)


def _place(found: Occurrence, url: str) -> FoundPlace:
    return FoundPlace(
        page=found.page,
        page_label=found.page_label,
        section=found.section,
        context=found.context,
        start=found.start,
        end=found.end,
        url=url,
        boxes=[BoxOnPage.of(box) for box in found.boxes],
    )
