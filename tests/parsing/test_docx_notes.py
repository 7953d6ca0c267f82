"""Notes of a Word file that refer to notes."""

import io
import zipfile

from pincite.parsing.docx import parse_docx

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def test_a_note_that_refers_to_itself_and_is_referred_to_twice_stands_once() -> None:
    reference = '<w:r><w:footnoteReference w:id="1"/></w:r>'
    parts = {
        "_rels/.rels": f'<Relationships xmlns="{RELATIONS}"><Relationship Id="a" Type="{OFFICE}/officeDocument" '
        'Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{RELATIONS}"><Relationship Id="b" '
        f'Type="{OFFICE}/footnotes" Target="footnotes.xml"/></Relationships>',
        "word/document.xml": f"<w:document {WORD}><w:body><w:p><w:r><w:t>Text</w:t></w:r>{reference}{reference}</w:p>"
        "</w:body></w:document>",
        "word/footnotes.xml": f'<w:footnotes {WORD}><w:footnote w:id="1"><w:p><w:r><w:t>Note</w:t></w:r>{reference}'
        "</w:p></w:footnote></w:footnotes>",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert parse_docx(out.getvalue(), "a.docx").text == "Text[1][1]\n\n[1] Note"
