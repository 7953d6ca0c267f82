"""Documents that are ZIP archives of XML: opened within bounds, read without entities, never unpacked to disk."""

import io
import zipfile
from collections.abc import Sequence
from posixpath import join, normpath
from typing import Any
from urllib.parse import unquote

from lxml import etree

from pincite.errors import CorruptDocument, DocumentTooLarge, EncryptedDocument
from pincite.parsing.naming import shown_name
from pincite.parsing.zip_damage import ZIP_DAMAGE

MAX_MEMBERS = 20_000
MAX_UNPACKED_BYTES = 512 * 1024 * 1024

_XML_SUFFIXES = (".xml", ".rels", ".opf", ".ncx", ".vml")
_ENCODINGS = ("ascii", "utf-16-le", "utf-16-be")
# A document type in an office file can only be an attack: the packaging standard forbids it (ECMA-376 part 2, 8.1.4).
_DOCTYPE = tuple("<!DOCTYPE".encode(e) for e in _ENCODINGS)
_ENTITY = tuple("<!ENTITY".encode(e) for e in _ENCODINGS)


class Archive:
    """The members of one ZIP document, read into memory one at a time."""

    def __init__(self, data: bytes, name: str) -> None:
        """Open `data`; raise CorruptDocument, EncryptedDocument, or DocumentTooLarge for what it unpacks to."""
        self._shown = shown_name(name)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            members = self._zip.infolist()
        except ZIP_DAMAGE as error:
            raise self._damaged() from error
        if any(m.flag_bits & 1 for m in members):
            raise EncryptedDocument(f"{self._shown}: the document is protected by a password; save a copy without one")
        unpacked = sum(m.file_size for m in members)
        if len(members) > MAX_MEMBERS or unpacked > MAX_UNPACKED_BYTES:
            raise DocumentTooLarge(
                f"{self._shown}: it unpacks to {unpacked} bytes in {len(members)} parts, over the limit of "
                f"{MAX_UNPACKED_BYTES} bytes in {MAX_MEMBERS}; split the document"
            )
        self.names = frozenset(self._zip.namelist())

    def read(self, member: str) -> bytes:
        """Return the bytes of `member`, empty where there is none. Raises CorruptDocument."""
        if member not in self.names:
            return b""
        try:
            # zipfile stops at the size that the directory declares, whatever the stream holds.
            return self._zip.read(member)
        except ZIP_DAMAGE as error:
            raise self._damaged() from error

    def xml(self, member: str) -> Any | None:
        """Return the root element of `member`, None where there is none. Raises CorruptDocument."""
        data = self.read(member)
        return self.parse_xml(data) if data else None

    def parse_xml(self, data: bytes) -> Any:
        """Return the root element of `data`, read without entities, network or unbounded depth."""
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True
        )
        try:
            return etree.fromstring(data, parser)
        except etree.LxmlError as error:
            raise self._damaged() from error

    def refuse_entities(self, document_type: bool = True) -> None:
        """Raise CorruptDocument where a part declares an entity, or (for office files) any document type at all.

        For libraries that read the archive with parsers of their own.
        """
        marks = (*_DOCTYPE, *_ENTITY) if document_type else _ENTITY
        for member in self.names:
            if member.lower().endswith(_XML_SUFFIXES) and any(mark in self.read(member) for mark in marks):
                raise CorruptDocument(
                    f"{self._shown}: it declares XML entities, which no office program writes; save it again"
                )

    def relations(self, member: str) -> dict[str, tuple[str, str]]:
        """Return the parts that `member` refers to, as id → (kind, member), without what lies outside the archive."""
        folder, _, file = member.rpartition("/")
        root = self.xml(join(folder, "_rels", f"{file}.rels"))
        found = {}
        for relation in root if root is not None else ():
            target = relation.get("Target")
            if target and relation.get("TargetMode") != "External" and relation.get("Id"):
                kind = relation.get("Type", "").rpartition("/")[2]
                found[relation.get("Id")] = (kind, resolve(folder, target))
        return found

    def core_title(self) -> str:
        """Return the title in an office document's properties, or ""."""
        if "docProps/core.xml" not in self.names:
            return ""
        try:
            root = self.xml("docProps/core.xml")
        except CorruptDocument:
            return ""
        return (root.findtext("{http://purl.org/dc/elements/1.1/}title") or "") if root is not None else ""

    def _damaged(self) -> CorruptDocument:
        return CorruptDocument(f"{self._shown}: the file is damaged or cut short; export it again from its program")


def resolve(folder: str, target: str) -> str:
    """Return the member that `target` names, seen from `folder`; a name only, which no file is opened by."""
    path = unquote(target.partition("#")[0])
    return normpath(path.lstrip("/") if path.startswith("/") else join(folder, path)).lstrip("/")


def local(tag: Any) -> str:
    """Return an element's name without its namespace: strict and transitional office files differ in it only."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Any, name: str) -> str | None:
    """Return an attribute by its name without the namespace."""
    for key, value in element.attrib.items():
        if local(key) == name:
            return str(value)
    return None


def children(element: Any, *names: str) -> Sequence[Any]:
    """Return the child elements with one of `names`, namespaces aside."""
    return [child for child in element if local(child.tag) in names]


def child(element: Any, *path: str) -> Any | None:
    """Return the first descendant along `path`, namespaces aside."""
    for name in path:
        element = next((c for c in element if local(c.tag) == name), None)
        if element is None:
            return None
    return element
