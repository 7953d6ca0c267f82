"""What a language model thinks before it answers, where its server leaves it in the text; it is no part of that."""

from collections.abc import AsyncGenerator, AsyncIterable

# As models write them; servers with a parser for the model's reasoning take them out themselves.
_TAGS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
}


async def said(pieces: AsyncIterable[str]) -> AsyncGenerator[str, None]:
    """Yield the pieces of a text without the thinking in front of it; nothing where that does not end."""
    held, end, begun = "", "", False
    async for piece in pieces:
        if begun:
            yield piece
            continue
        held = (held + piece).lstrip()
        end = end or next((_TAGS[tag] for tag in _TAGS if held.startswith(tag)), "")
        if end and end not in held:
            held = held[-len(end) :]
            continue
        if end:
            held, end = held.partition(end)[2].lstrip(), ""
        if held and not any(tag.startswith(held) for tag in _TAGS):
            begun = True
            yield held
    if held and not begun and not end:
        yield held
