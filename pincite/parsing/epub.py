"""EPUB to Document: the chapters of the spine, in order."""

from typing import Any

from pincite.document import Document
from pincite.errors import CorruptDocument, EncryptedDocument
from pincite.parsing import formats
from pincite.parsing.archive import Archive, attribute, local, resolve
from pincite.parsing.html import read_html, walk
from pincite.parsing.naming import clean_title, shown_name
from pincite.parsing.text_builder import TextBuilder

_PACKAGE = "application/oebps-package+xml"
_DOCUMENT_TYPES = {"application/xhtml+xml", "text/html", "application/x-dtbook+xml"}
_FONT_OBFUSCATION = {"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"}


def parse_epub(data: bytes, name: str) -> Document:
    """Return the document of an EPUB book. Raises CorruptDocument, EncryptedDocument, DocumentTooLarge."""
    archive = Archive(data, name)
    archive.refuse_entities(document_type=False)
    package_path = _package_path(archive, name)
    package = archive.xml(package_path)
    if package is None:
        raise CorruptDocument(f"{shown_name(name)}: the book has no package file; export it again from its program")
    chapters = _spine(package, package_path.rpartition("/")[0])
    _refuse_drm(archive, set(chapters), name)
    labels = _contents(archive, package, package_path.rpartition("/")[0])
    builder = TextBuilder()
    missing = 0
    for chapter in chapters:
        if chapter not in archive.names:
            missing += 1
            continue
        _add_chapter(archive, chapter, labels.get(chapter, ""), name, builder)
    if missing:
        builder.warn("missing_parts", f"{missing} of {len(chapters)} chapters are missing from the book")
    title = next((e.text or "" for e in package.iter() if local(e.tag) == "title"), "")
    return builder.build(title, formats.EPUB)


def _add_chapter(archive: Archive, chapter: str, label: str, name: str, builder: TextBuilder) -> None:
    markup = archive.read(chapter)
    if not markup.strip():
        return
    root = read_html(markup, name, builder)
    body = root.find(".//body")
    body = root if body is None else body
    headless = next(body.iter("h1", "h2", "h3", "h4", "h5", "h6"), None) is None
    if headless and label:
        # The table of contents names a chapter whose own text has no heading: the section is marked, no text is added.
        builder.section_at_next_block(label, 1)
    walk(body, builder)


def _package_path(archive: Archive, name: str) -> str:
    container = archive.xml("META-INF/container.xml")
    for element in container.iter() if container is not None else ():
        if (
            local(element.tag) == "rootfile"
            and element.get("media-type", _PACKAGE) == _PACKAGE
            and element.get("full-path")
        ):
            return resolve("", element.get("full-path"))
    raise CorruptDocument(f"{shown_name(name)}: the book does not name its package; export it again from its program")


def _manifest(package: Any, folder: str) -> dict[str, tuple[str, str, str]]:
    """The book's parts, as id → (member, media type, properties)."""
    return {
        item.get("id", ""): (
            resolve(folder, item.get("href", "")),
            item.get("media-type", ""),
            item.get("properties", ""),
        )
        for item in package.iter()
        if local(item.tag) == "item"
    }


def _spine(package: Any, folder: str) -> list[str]:
    manifest = _manifest(package, folder)
    order = [manifest.get(ref.get("idref", "")) for ref in package.iter() if local(ref.tag) == "itemref"]
    chapters = [item[0] for item in order if item and item[1] in _DOCUMENT_TYPES and "nav" not in item[2].split()]
    return list(dict.fromkeys(chapters))


def _contents(archive: Archive, package: Any, folder: str) -> dict[str, str]:
    """The labels of the table of contents by chapter: the first that points at it (EPUB 2's NCX, EPUB 3's nav)."""
    labels: dict[str, str] = {}
    for member, media_type, properties in _manifest(package, folder).values():
        is_ncx = media_type == "application/x-dtbncx+xml"
        if member not in archive.names or not (is_ncx or "nav" in properties.split()):
            continue
        try:
            root = archive.xml(member)
        except CorruptDocument:  # the book reads without it
            continue
        base = member.rpartition("/")[0]
        for element in root.iter() if root is not None else ():
            if is_ncx and local(element.tag) == "navPoint":
                text = next((e.text or "" for e in element.iter() if local(e.tag) == "text"), "")
                target = next((e.get("src", "") for e in element.iter() if local(e.tag) == "content"), "")
            elif not is_ncx and local(element.tag) == "a":
                text, target = "".join(element.itertext()), element.get("href", "")
            else:
                continue
            if target and clean_title(text):
                labels.setdefault(resolve(base, target), clean_title(text))
    return labels


def _refuse_drm(archive: Archive, chapters: set[str], name: str) -> None:
    rights = archive.xml("META-INF/encryption.xml")
    for data in rights.iter() if rights is not None else ():
        if local(data.tag) != "EncryptedData":
            continue
        method = next((attribute(e, "Algorithm") for e in data.iter() if local(e.tag) == "EncryptionMethod"), None)
        target = next((attribute(e, "URI") for e in data.iter() if local(e.tag) == "CipherReference"), None)
        if method not in _FONT_OBFUSCATION and target and resolve("", target) in chapters:
            raise EncryptedDocument(f"{shown_name(name)}: the book is protected by DRM; add an edition without it")
