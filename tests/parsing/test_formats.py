"""A file's format is told by its content, and what is not supported is named with the way out."""

import io
import zipfile

import pytest

from pincite.errors import CorruptDocument, EmptyDocument, EncryptedDocument, PinciteError, UnsupportedFormat
from pincite.parsing import formats, parse

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


def zipped(*names: str, mimetype: str = "") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        if mimetype:
            archive.writestr("mimetype", mimetype)
        for name in names:
            archive.writestr(name, "<x/>")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (b"%PDF-1.7\n", "x.txt", formats.PDF),
        (b"junk\n%PDF-1.4\n", "x", formats.PDF),
        (b"no header", "x.pdf", formats.PDF),
        (zipped("[Content_Types].xml", "word/document.xml"), "x.bin", formats.DOCX),
        (zipped("[Content_Types].xml", "ppt/presentation.xml"), "x.zip", formats.PPTX),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "X.XLSX", formats.XLSX),
        (zipped("META-INF/container.xml", mimetype="application/epub+zip"), "x", formats.EPUB),
        (b"<!DOCTYPE html><p>x", "x.docx", formats.HTML),
        (b"\xef\xbb\xbf <?xml version='1.0'?>\n<html xmlns='x'>", "x.txt", formats.HTML),
        (b"From: a@b.c\nTo: d@e.f\nSubject: Hi\n\nHello", "message", formats.EML),
        (b"# Title", "README.MD", formats.MARKDOWN),
        (b"a,b\n1,2", "x.csv", formats.CSV),
        (b"a\tb", "x.tsv", formats.TSV),
        (b"{}", "x.json", formats.JSON),
        (b"def f(): pass", "x.py", "text/plain; language=python"),
        (b"all:\n\tmake", "Makefile", "text/plain; language=make"),
        ("合同".encode("gbk"), "合同.txt", formats.TEXT),
        ("合同 contract".encode("utf-16-le"), "unknown", formats.TEXT),
        (b"MZ is how this sentence begins", "x.txt", formats.TEXT),
    ],
)
def test_the_format_is_told_by_content_then_name(data: bytes, name: str, expected: str) -> None:
    assert formats.detect(data, name) == expected


@pytest.mark.parametrize(
    ("data", "name", "looks_like", "way_out"),
    [
        (b"\x89PNG\r\n\x1a\n....", "x.pdf", "a PNG image", "OCR"),
        (b"\xff\xd8\xff\xe0....", "x.jpg", "a JPEG image", "OCR"),
        (OLE, "x.doc", "an old Word document", "save it as DOCX or PDF"),
        (OLE, "x.xls", "an old Excel workbook", "save it as XLSX or CSV"),
        (OLE, "x.msg", "an Outlook message", "save it as EML"),
        (zipped("a.txt"), "x.zip", "a ZIP archive", "unpack it"),
        (zipped("content.xml", mimetype="application/vnd.oasis.opendocument.text"), "x.odt", "OpenDocument", "DOCX"),
        (zipped("[Content_Types].xml", "xl/workbook.bin"), "x.xlsb", "XLSB", "XLSX"),
        (b"\x7fELF\x02\x01", "x", "an executable program", "documents only"),
        (b"{\\rtf1 hello}", "x.rtf", "rich text", "DOCX"),
        (b"\x1f\x8b\x08\x00", "x.gz", "a gzip archive", "unpack it"),
        (bytes(range(256)) * 4, "x.dat", "binary data", "supported are PDF"),
    ],
)
def test_what_is_not_supported_is_named_with_the_way_out(data: bytes, name: str, looks_like: str, way_out: str) -> None:
    with pytest.raises(UnsupportedFormat) as caught:
        formats.detect(data, name)
    assert looks_like in caught.value.message
    assert way_out in caught.value.message
    assert caught.value.message.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("data", "name", "error"),
    [
        (b"", "x.pdf", EmptyDocument),
        (b" \n\t\r\n", "x.txt", EmptyDocument),
        (b"\xef\xbb\xbf", "x.md", EmptyDocument),
        (zipped("[Content_Types].xml", "word/document.xml")[:-30], "x.docx", CorruptDocument),
        (zipped("a.txt"), "x.docx", CorruptDocument),
        (b"plain text", "x.pptx", CorruptDocument),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "x.docx", EncryptedDocument),
    ],
)
def test_what_cannot_be_opened_says_why(data: bytes, name: str, error: type[PinciteError]) -> None:
    with pytest.raises(error, match=f"^{name}: "):
        formats.detect(data, name)


def test_names_in_messages_cannot_deceive() -> None:
    with pytest.raises(EmptyDocument) as caught:
        formats.detect(b"", "/etc/secret/in\u202evoice\n.exe.txt")
    assert caught.value.message.startswith("invoice.exe.txt: ")


def test_a_document_without_text_is_empty_and_one_without_title_has_its_files_name() -> None:
    with pytest.raises(EmptyDocument, match="holds no text"):
        parse(b"<html><body><script>x</script></body></html>", "x.html")
    assert parse(b"hello", "folder/Travel policy.txt").title == "Travel policy"


def test_characters_that_cannot_be_stored_are_replaced_one_for_one() -> None:
    document = parse(b"alpha\x00beta", "x.txt")
    assert document.text == "alpha beta"
    assert document.blocks == ((0, 10),)
