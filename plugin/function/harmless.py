"""Text made harmless: whatever a document or a model says, in the chat it is no link, no picture and no HTML.

A document may ask the model for a picture whose address tells what was said; a browser would fetch it. So what would
begin markup or an address is put in its full-width form, which looks nearly the same.
"""

import re

MARKUP = str.maketrans("[]<>`", "［］＜＞｀")
# What chats link by themselves: schemes, "www.", addresses of mail, and hosts with a path.
LINKED = re.compile(
    r"""(?:[A-Za-z][A-Za-z0-9+.-]{0,30}:(?://|(?=[A-Za-z]))|\bwww\.)[^\s\u3000-\u303f\uff00-\uffef]*
    |[\w.+-]{1,100}@[\w-]{1,100}(?:\.[\w-]{1,100}){1,10}
    |\b[\w-]{1,100}(?:\.[\w-]{1,100}){1,10}/[^\s\u3000-\u303f\uff00-\uffef]*""",
    re.VERBOSE,
)
IN_ADDRESS = str.maketrans(":.@/", "：．＠／")


def harmless(text: str) -> str:
    """Return the text so that a chat finds nothing to link, to load or to run in it."""
    return LINKED.sub(lambda found: found[0].translate(IN_ADDRESS), text).translate(MARKUP)
