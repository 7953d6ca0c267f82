"""E-mail to Document: the headers a reader sees, then the body; attachments are named, not indexed."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message

from pincite.document import Document
from pincite.errors import CorruptDocument
from pincite.parsing import encodings, formats
from pincite.parsing.html import html_tree, walk
from pincite.parsing.naming import shown_name
from pincite.parsing.text import paragraphs
from pincite.parsing.text_builder import TextBuilder

_HEADERS = ("Subject", "From", "To", "Cc", "Date")
_ANY_HEADER = (*_HEADERS, "Received", "Message-ID", "Content-Type", "MIME-Version")
# Longer ones are attacks; the default policy's header parser takes gigabytes for a few hundred kilobytes.
_MAX_HEADER = 20_000


def parse_eml(data: bytes, name: str) -> Document:
    """Return the document of one message (RFC 5322 with MIME). Raises CorruptDocument."""
    message = message_from_bytes(data, policy=policy.compat32)
    if not any(h in message for h in _ANY_HEADER):
        raise CorruptDocument(f"{shown_name(name)}: this is not an e-mail message; it has no headers")
    builder = TextBuilder()
    for header in _HEADERS:
        if value := _header(message, header):
            builder.row(f"{header}: {value}")
    parts = [part for part in message.walk() if not part.is_multipart()]
    body = _body(parts)
    if body is not None:
        _add_body(body, name, builder)
    for attachment in _attachments(message, body):
        label = shown_name(attachment) or "without a name"
        builder.warn("attachment_not_indexed", f"attachment {label} not indexed; add it as a document of its own")
    return builder.build(_header(message, "Subject"), formats.EML)


def _header(message: Message, name: str) -> str:
    raw = next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), "")[:_MAX_HEADER]
    sent = raw.encode("utf-8", "surrogateescape")
    if not sent.isascii():  # raw eight-bit text, which no standard allows and many programs send
        return " ".join(encodings.decode(sent).text.split())
    try:
        pieces = decode_header(raw)
    except (HeaderParseError, ValueError):
        return " ".join(raw.split())
    text = "".join(p if isinstance(p, str) else encodings.decode(p, charset).text for p, charset in pieces)
    return " ".join(text.split())


def _body(parts: list[Message]) -> Message | None:
    """The first plain part with text that is no attachment, else the first HTML part."""
    for kind in ("text/plain", "text/html", "text/"):
        for part in parts:
            named = part.get_content_disposition() == "attachment" or part.get_filename()
            if part.get_content_type().startswith(kind) and not named and _text(part).strip():
                return part
    return None


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    return encodings.decode(payload, part.get_content_charset()).text


def _add_body(body: Message, name: str, builder: TextBuilder) -> None:
    text = _text(body).replace("\r\n", "\n").replace("\r", "\n")
    if body.get_content_subtype() == "html":
        walk(html_tree(text, name, builder), builder)
        return
    if "\ufffd" in text:
        builder.warn("undecoded_bytes", f"{text.count(chr(0xFFFD))} characters of the message could not be decoded")
    for start, end in paragraphs(text):
        builder.block(text[start:end])


def _attachments(message: Message, body: Message | None) -> Iterator[str]:
    """Yield the file name of every part that is neither the body nor another version of it; its type if it has none."""
    for part in message.walk():
        is_message = part.get_content_type() == "message/rfc822"
        if part is body or (part.is_multipart() and not is_message):
            continue
        filename = part.get_filename()
        if filename or is_message or part.get_content_disposition() == "attachment":
            yield _decoded_name(filename) if filename else part.get_content_type()


def _decoded_name(filename: str) -> str:
    try:
        pieces = decode_header(filename[:_MAX_HEADER])
    except (HeaderParseError, ValueError):
        return filename
    return "".join(p if isinstance(p, str) else encodings.decode(p, charset).text for p, charset in pieces)
