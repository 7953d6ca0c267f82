"""HTML and e-mail: what a reader sees, in order, and nothing else."""

from email.message import EmailMessage

import pytest

from pincite.document import Document
from pincite.errors import CorruptDocument
from pincite.parsing import parse
from pincite.parsing.eml import parse_eml
from pincite.parsing.html import parse_html


def html(body: str, head: str = "") -> Document:
    return parse_html(f"<html><head>{head}</head><body>{body}</body></html>".encode(), "x.html")


def sections(document: Document) -> list[tuple[int, str]]:
    return [(s.level, s.title) for s in document.sections]


def test_headings_paragraphs_lists_and_tables_are_read_in_order() -> None:
    document = html(
        "<h1>Travel\n policy</h1>Loose text<p>One <b>bold</b> word.<br>Next line</p>"
        "<ol start=3><li>first<li>second</ol><ul><li>bullet</ul>"
        "<table><tr><th>City</th><th>Limit</th></tr><tr><td>Paris<br>centre</td><td>180</td></tr></table><h2>After</h2>"
    )
    assert document.text == (
        "Travel policy\n\nLoose text\n\nOne bold word.\nNext line\n\n3. first\n4. second\n- bullet\n"
        "City | Limit\nParis centre | 180\n\nAfter"
    )
    assert sections(document) == [(1, "Travel policy"), (2, "After")]
    assert [document.text[a:b] for a, b in document.blocks][-2:] == ["Paris centre | 180", "After"]


@pytest.mark.parametrize(
    "unseen",
    [
        "<script>unseen()</script>", "<style>unseen{}</style>", "<!-- unseen -->", "<template>unseen</template>",
        "<p hidden>unseen</p>", '<p style="color:red; display: none">unseen</p>', '<p aria-hidden="true">unseen</p>',
        '<span style="visibility:hidden">unseen</span>', "<noscript>unseen</noscript>", "<nav>unseen</nav>",
        '<iframe src="file:///etc/passwd">unseen</iframe>', "<textarea>unseen</textarea>",
        '<p style="font-size:0">unseen</p>',
    ],
)  # fmt: skip
def test_what_a_reader_does_not_see_is_left_out(unseen: str) -> None:
    document = html(f"<p>before</p>{unseen}tail<p>after</p>")
    assert "unseen" not in document.text
    assert [line for line in document.text.split("\n") if line] == ["before", "tail", "after"]


def test_preformatted_text_keeps_its_lines() -> None:
    assert html("<pre>a\n  b</pre>").text == "a\n  b"


def test_a_page_that_marks_its_main_part_is_that_part() -> None:
    document = html("<header>Login</header><main><h1>Policy</h1><p>The whole policy stands here.</p></main>")
    assert document.text == "Policy\n\nThe whole policy stands here."


def test_a_layout_table_is_not_read_as_rows() -> None:
    document = html(
        "<table><tr><td><h2>Left</h2>text</td><td><table><tr><td>a</td><td>b</td></tr></table></td></tr></table>"
    )
    assert document.text == "Left\n\ntext\n\na | b"


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ('<meta charset="gb2312">', "gbk"),
        ('<meta http-equiv=x content="text/html; charset=Shift_JIS">', "cp932"),
        ("", "gbk"),
    ],
)
def test_pages_in_other_encodings_are_read(head: str, encoding: str) -> None:
    data = f"<html><head>{head}<title>契約条件</title></head><body><p>第一条 付款期限</p></body></html>".encode(
        encoding
    )
    document = parse_html(data, "x.html")
    assert document.text == "第一条 付款期限"
    if head:
        assert document.title == "契約条件"


def test_nothing_is_fetched_and_entities_do_not_expand() -> None:
    document = parse_html(
        b'<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]><html><body><p>a&x;b</p><img src="http://127.0.0.1:9/"></body></html>',
        "x.html",
    )
    assert "root:" not in document.text


def test_nesting_beyond_the_limit_is_an_error_or_a_warning() -> None:
    with pytest.raises(CorruptDocument, match="nested too deeply"):
        parse(b"<html><body>" + b"<div>" * 5000 + b"x", "x.html")


def mail() -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = "付款 reminder"
    message["From"] = "Ann <ann@example.org>"
    message["To"] = "Bob <bob@example.org>"
    message["Date"] = "Wed, 21 Dec 2022 10:28:53 +0000"
    return message


def test_a_message_is_its_headers_and_its_plain_text() -> None:
    message = mail()
    message.set_content("Hi Bob,\n\nplease pay.\n")
    message.add_alternative("<p>Hi Bob, please pay.</p>", subtype="html")
    document = parse_eml(bytes(message), "x.eml")
    assert document.title == "付款 reminder"
    assert document.text == (
        "Subject: 付款 reminder\nFrom: Ann <ann@example.org>\nTo: Bob <bob@example.org>\n"
        "Date: Wed, 21 Dec 2022 10:28:53 +0000\n\nHi Bob,\n\nplease pay."
    )
    assert document.warnings == ()


def test_a_message_in_html_only_is_read_and_attachments_are_named() -> None:
    message = mail()
    message.set_content("<h2>Terms</h2><p>30 days</p><script>x</script>", subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="合同.pdf")
    document = parse_eml(bytes(message), "x.eml")
    assert document.text.endswith("\n\nTerms\n\n30 days")
    assert [w.message for w in document.warnings] == [
        "attachment 合同.pdf not indexed; add it as a document of its own"
    ]


def test_a_message_whose_declared_encoding_is_wrong_is_still_read() -> None:
    head = b"Subject: x\nContent-Type: text/plain; charset=no-such\nContent-Transfer-Encoding: 8bit\n\n"
    assert parse_eml(head + "请于三十日内付款。".encode("gbk"), "x.eml").text.endswith("请于三十日内付款。")


def test_a_header_of_megabytes_costs_nothing() -> None:
    data = b"From: " + b"a@b.c, " * 200_000 + b"\nSubject: x\n\nhello"
    assert len(parse_eml(data, "x.eml").text) < 30_000


def test_a_file_that_is_no_message_is_refused() -> None:
    with pytest.raises(CorruptDocument, match="no headers"):
        parse_eml(b"just some text", "x.eml")
