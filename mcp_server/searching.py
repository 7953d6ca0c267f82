"""Search for agents: as many passages as fit the token budget, best first, and a cursor for the rest."""

from dataclasses import replace

from mcp_server.budget import estimated_tokens, head, make_cursor, open_cursor
from mcp_server.chat_citations import ChatCitations
from mcp_server.reading import passage_id, titled
from mcp_server.results import CitedDocument, SearchHit, SearchOutput
from pincite.access import Principal
from pincite.chat_source import Shown
from pincite.passage import Passage, SearchFilter
from pincite.workspace import Workspace

# Room for the frame of the result and its cursor.
FRAME_TOKENS = 60


async def search(
    workspace: Workspace,
    who: Principal,
    query: str,
    *,
    knowledge_base: str | None = None,
    k: int | None = None,
    where: SearchFilter | None = None,
    cursor: str | None = None,
    budget: int,
    chat: ChatCitations,
) -> SearchOutput:
    """Return the passages that answer `query`, from the one that the cursor names on.

    Nothing is kept between two calls: the search runs again, and gives the same passages in the same order.

    Raises:
        InvalidCursor: the cursor belongs to another search.
        PinciteError: what the search itself refuses.
    """
    scope = f"{query}\0{knowledge_base}\0{k}\0{where}"
    begin = open_cursor(cursor, scope)
    found = await workspace.search(who, knowledge_base, query, k=k, where=where)
    hits: list[SearchHit] = []
    left = budget - FRAME_TOKENS - sum(map(estimated_tokens, found.notes))
    for passage in found.passages[begin:]:
        hit = _hit(passage, workspace.view_url(who, passage))
        cost = _tokens(hit)
        if cost > left and hits:
            break
        if cost > left:
            hit = _shortened(hit, left)
        hits.append(hit)
        left -= cost
    end = begin + len(hits)
    shown = [
        replace(Shown.of(passage, hit.url), id=hit.id)
        for passage, hit in zip(found.passages[begin:end], hits, strict=True)
    ]
    for hit, citation in zip(hits, await chat.cite(shown, query), strict=False):
        hit.citation = citation
    more = make_cursor(end, scope) if end < len(found.passages) else None
    why = found.why.message if found.why else None
    return SearchOutput(results=hits, why=why, notes=list(found.notes), next_cursor=more)


def _hit(passage: Passage, url: str) -> SearchHit:
    document = passage.document
    return SearchHit(
        id=passage_id(passage),
        title=titled(document.title, passage.page),
        url=url,
        text=passage.text,
        score=round(passage.score, 4),
        document=CitedDocument(id=document.id, title=document.title, path=document.path),
        page=passage.page,
        page_label=passage.page_label,
        pages=list(passage.pages),
        section=passage.section,
        table_header=passage.table_header,
        start=passage.start,
        end=passage.end,
    )


def _tokens(hit: SearchHit) -> int:
    return estimated_tokens(hit.model_dump_json(exclude_defaults=True))


def _shortened(hit: SearchHit, tokens: int) -> SearchHit:
    """Cut the text of a passage that alone is more than a result may hold."""
    around = _tokens(hit.model_copy(update={"text": ""}))
    return hit.model_copy(update={"text": head(hit.text, max(tokens - around, 0)), "truncated": True})
