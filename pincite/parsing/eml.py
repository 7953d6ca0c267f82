"""E-mail to Document: the headers a reader sees, then the body; attachments are named, not indexed."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart

from pincite.document import Document
from pincite.errors import CorruptDocument
from pincite.parsing import encodings, formats
from pincite.parsing.html import html_tree, walk
from pincite.parsing.naming import shown_name
from pincite.parsing.text import paragraphs
from pincite.parsing.text_builder import TextBuilder

_HEADERS = ("Subject", "From", "To", "Cc", "Date")


def parse_eml(data: bytes, name: str) -> Document:
    """Return the document of one message (RFC 5322 with MIME). Raises CorruptDocument."""
    message = message_from_bytes(data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    if not message.keys() or not any(message.get(h) for h in (*_HEADERS, "Message-ID", "Content-Type")):
        raise CorruptDocument(f"{shown_name(name)}: this is not an e-mail message; it has no headers")
    builder = TextBuilder()
    for header in _HEADERS:
        if value := _header(message, header):
            builder.row(f"{header}: {value}")
    body = _body(message)
    if body is not None:
        _add_body(body, name, builder)
    for attachment in _attachments(message, body):
        label = shown_name(attachment) or "without a name"
        builder.warn("attachment_not_indexed", f"attachment {label} not indexed; add it as a document of its own")
    return builder.build(_header(message, "Subject"), formats.EML)


def _header(message: EmailMessage, name: str) -> str:
    try:
        value = str(message.get(name) or "")
    except (ValueError, LookupError, AttributeError, IndexError, TypeError):  # the header parser trips on odd input
        value = str(dict(message.raw_items()).get(name, ""))
    return " ".join(value.encode("utf-8", "surrogateescape").decode("utf-8", "replace").split())


def _body(message: EmailMessage) -> MIMEPart | None:
    try:
        body = message.get_body(preferencelist=("plain", "html"))
    except (KeyError, ValueError, LookupError, AttributeError):
        body = None
    if body is None or (body.get_content_type() == "text/plain" and not _text(body).strip()):
        parts = [p for p in message.walk() if p.get_content_maintype() == "text"]
        body = next((p for p in parts if isinstance(p, MIMEPart) and _text(p).strip()), body)
    return body if isinstance(body, MIMEPart) else None


def _text(part: MIMEPart) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    return encodings.decode(payload, _charset(part)).text


def _charset(part: MIMEPart) -> str | None:
    try:
        return part.get_content_charset()
    except (ValueError, LookupError, AttributeError):
        return None


def _add_body(body: MIMEPart, name: str, builder: TextBuilder) -> None:
    text = _text(body).replace("\r\n", "\n").replace("\r", "\n")
    if body.get_content_subtype() == "html":
        if text.strip():
            walk(html_tree(text, name, builder), builder)
        return
    if "\ufffd" in text:
        builder.warn("undecoded_bytes", f"{text.count(chr(0xFFFD))} characters of the message could not be decoded")
    for start, end in paragraphs(text):
        builder.block(text[start:end])


def _attachments(message: EmailMessage, body: MIMEPart | None) -> Iterator[str]:
    """Yield the file name of every part that is neither the body nor another version of it."""
    for part in message.walk():
        if part is body or (part.is_multipart() and part.get_content_type() != "message/rfc822"):
            continue
        try:
            filename = part.get_filename() or ""
        except (ValueError, LookupError, AttributeError):
            filename = ""
        if filename or part.get_content_disposition() == "attachment" or part.get_content_type() == "message/rfc822":
            yield filename or part.get_content_type()
