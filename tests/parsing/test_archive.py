"""Archives that would fill the memory or read other files are refused before they are unpacked."""

import io
import zipfile

import pytest

from pincite.errors import CorruptDocument, DocumentTooLarge, EncryptedDocument, PinciteError
from pincite.parsing import archive as archive_module
from pincite.parsing import parse
from pincite.parsing.archive import Archive, resolve

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
READS_FILE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return out.getvalue()


def docx(document: str, encoding: str = "utf-8") -> bytes:
    return zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": document.encode(encoding)})


@pytest.mark.parametrize("attack", [LAUGHS, READS_FILE])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_in_office_files_are_refused(attack: str, encoding: str) -> None:
    xml = f"<?xml version='1.0' encoding='{encoding}'?>{attack}<w:document {WORD}><w:body>&a;</w:body></w:document>"
    with pytest.raises(CorruptDocument, match="declares XML entities"):
        parse(docx(xml, encoding), "x.docx")


@pytest.mark.parametrize("name", ["x.docx", "x.xlsx", "x.pptx"])
def test_a_bomb_is_refused_by_what_it_says_it_unpacks_to(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MAX_UNPACKED_BYTES", 1000)
    part = {"x.docx": "word/document.xml", "x.xlsx": "xl/workbook.xml", "x.pptx": "ppt/presentation.xml"}[name]
    data = zipped({"[Content_Types].xml": b"<Types/>", part: b" " * 100_000})
    with pytest.raises(DocumentTooLarge, match="unpacks to 100008 bytes"):
        parse(data, name)


def test_a_bomb_that_lies_about_its_size_is_cut_off() -> None:
    data = bytearray(zipped({"a.xml": b"x" * 100_000}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(signature) + offset
        data[at : at + 4] = (10).to_bytes(4, "little")
    with pytest.raises(CorruptDocument, match="damaged"):
        Archive(bytes(data), "x.docx").read("a.xml")


def test_too_many_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MAX_MEMBERS", 10)
    with pytest.raises(DocumentTooLarge, match="in 11 parts"):
        Archive(zipped({f"{i}.xml": b"" for i in range(11)}), "x.docx")


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda d: d[:-40], CorruptDocument),
        (lambda d: d.replace(b"x" * 60, b"y" * 60), CorruptDocument),
        (lambda d: d.replace(b"PK\x01\x02" + d[d.index(b"PK\x01\x02") + 4 :][:4] + b"\x00\x00",
                             b"PK\x01\x02" + d[d.index(b"PK\x01\x02") + 4 :][:4] + b"\x01\x00"), EncryptedDocument),
    ],
)  # fmt: skip
def test_damaged_and_encrypted_archives_say_so(damage: object, error: type[PinciteError]) -> None:
    data = zipped({"a.xml": b"x" * 100}, zipfile.ZIP_STORED)
    assert callable(damage)
    with pytest.raises(error):
        Archive(damage(data), "x.docx").read("a.xml")


def test_names_are_resolved_inside_the_archive() -> None:
    assert resolve("OEBPS/text", "../images/a.png#x") == "OEBPS/images/a.png"
    assert resolve("word", "/word/styles.xml") == "word/styles.xml"
    assert resolve("a", "b%20c.xml") == "a/b c.xml"


def test_what_lies_outside_is_no_relation() -> None:
    rels = (
        '<Relationships><Relationship Id="1" Type="x/styles" Target="styles.xml"/>'
        '<Relationship Id="2" Type="x/attachedTemplate" Target="http://127.0.0.1:9/t.dotm" TargetMode="External"/>'
        "</Relationships>"
    )
    archive = Archive(zipped({"word/_rels/document.xml.rels": rels.encode()}), "x.docx")
    assert archive.relations("word/document.xml") == {"1": ("styles", "word/styles.xml")}
