"""What a model thinks before it answers, where tags tell it from the answer.

Open WebUI knows these tags and shows what is between them as thinking; it is no part of what the answer says.
"""

import re

TAGS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<reason>": "</reason>",
    "<reasoning>": "</reasoning>",
    "<thought>": "</thought>",
    "<Thought>": "</Thought>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "◁think▷": "◁/think▷",
}
OPENING = re.compile(rf"\s*({'|'.join(map(re.escape, TAGS))})")


def said(text: str) -> str:
    """Return what a model says, without what it thinks in front of it."""
    opening = OPENING.match(text)
    return text[opening.end() :].partition(TAGS[opening[1]])[2] if opening else text
