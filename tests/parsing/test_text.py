"""Text files stay as they are; their blocks are what belongs together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pincite.document import Document
from pincite.parsing import formats
from pincite.parsing.markdown import parse_markdown
from pincite.parsing.text import parse_text


def blocks(document: Document) -> list[str]:
    return [document.text[start:end] for start, end in document.blocks]


def sections(document: Document) -> list[tuple[int, str]]:
    return [(s.level, s.title) for s in document.sections]


def plain(text: str, media_type: str = formats.TEXT) -> Document:
    return parse_text(text.encode(), "x.txt", media_type)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\ufeff\x00\x1b")), st.sampled_from(
    [formats.TEXT, formats.CSV, formats.JSON, "text/plain; language=python", formats.MARKDOWN]))  # fmt: skip
def test_text_is_verbatim_and_blocks_are_ascending_and_disjoint(text: str, media_type: str) -> None:
    parse = parse_markdown if media_type == formats.MARKDOWN else lambda d, n: parse_text(d, n, media_type)
    document = parse(text.encode(), "x")
    assert document.text == text
    ends = [0, *(end for _, end in document.blocks)]
    assert all(before <= start < end for before, (start, end) in zip(ends, document.blocks, strict=False))
    assert ends[-1] <= len(text)
    covered = "".join(c for b in blocks(document) for c in b if c.isalnum())
    assert covered == "".join(c for c in text if c.isalnum())


def test_line_ends_become_new_lines() -> None:
    assert plain("a\r\nb\rc").text == "a\nb\nc"


def test_paragraphs_are_blocks() -> None:
    assert blocks(plain("One\ntwo.\n\n\n  Three\n \t\nFour\n")) == ["One\ntwo.", "  Three", "Four"]


def test_a_long_text_without_blank_lines_is_cut_at_its_paragraphs_not_at_wrapped_lines() -> None:
    wrapped = "These words go on to the very end of the line and then they\nend here.\n"
    found = blocks(plain(wrapped * 60))
    assert len(found) == 60
    assert set(found) == {wrapped.strip()}


def test_undecodable_bytes_are_a_warning() -> None:
    document = parse_text("合同条款与付款方式。".encode() * 9 + b"\xff\xff", "x.txt", formats.TEXT)
    assert [w.message for w in document.warnings] == ["2 bytes could not be decoded; save the file as UTF-8"]


def test_articles_of_a_chinese_text_are_sections_and_its_contents_list_is_not() -> None:
    document = plain(
        "目录\n\n第一章 总则\n\n第二章 付款\n\n第一章 总则\n\n第一条 为了保护双方的权益，制定本合同。\n\n"
        "第二章 付款\n\n第二条 甲方应付款。"
    )
    assert sections(document) == [(1, "第一章 总则"), (2, "第一条"), (1, "第二章 付款"), (2, "第二条")]
    assert document.text[document.sections[1].start :].startswith("第一条 为了")


def test_numbered_clauses_are_sections_where_they_form_a_sequence() -> None:
    contract = "1. Term\n\nOne year.\n\n2. Payment\n\nThirty days.\n\n3. Governing Law\n\nFrance.\n"
    assert sections(plain(contract)) == [(1, "1. Term"), (1, "2. Payment"), (1, "3. Governing Law")]
    assert sections(plain("12. Apples\n\nOne.\n\n90. Pears\n\nTwo.\n\n41. Plums\n\nThree.")) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a,b\n1,"two\nlines"\n3,4\n', ["a,b", '1,"two\nlines"', "3,4"]),
        ('a,b\n1,"never closed\n3,4\n', ["a,b", '1,"never closed', "3,4"]),
        ("a;b\n\n1;0.10\n", ["a;b", "1;0.10"]),
    ],
)
def test_the_records_of_a_csv_are_blocks(text: str, expected: list[str]) -> None:
    assert blocks(plain(text, formats.CSV)) == expected


def test_the_members_of_a_json_object_are_blocks() -> None:
    text = '{\n  "a": {\n    "b": 1\n  },\n  "c": [2]\n}\n'
    assert blocks(plain(text, formats.JSON)) == ['{', '  "a": {\n    "b": 1\n  },', '  "c": [2]\n}']  # fmt: skip
    assert blocks(plain('{"a":1}\n{"a":2}\n{"a":3}\n', formats.JSON)) == ['{"a":1}', '{"a":2}', '{"a":3}']


def test_definitions_of_source_code_are_sections() -> None:
    code = "import os\n\nclass Store:\n    def get(self):\n        pass\n\n\nasync def main() -> None:\n    pass\n"
    document = plain(code, "text/plain; language=python")
    assert sections(document) == [(1, "class Store"), (1, "async def main() -> None")]
    assert blocks(document) == [
        "import os",
        "class Store:\n    def get(self):\n        pass",
        "async def main() -> None:\n    pass",
    ]


MARKDOWN = """---
title: "Operations manual"
---
# Start

Some *text* with
two lines.

```python
# not a heading
```

Second part
-----------

- one
- two
  continued

| a | b |
|---|---|
| 1 | 0.1 |

### The `run` [command](http://x) **now** {#anchor}

[unused]: http://example.invalid
"""


def test_markdown_sections_are_its_headings_outside_code() -> None:
    document = parse_markdown(MARKDOWN.encode(), "x.md")
    assert document.title == "Operations manual"
    assert sections(document) == [(1, "Start"), (2, "Second part"), (3, "The run command now")]
    assert all(
        document.text[s.start :].startswith(("# Start", "Second part\n---", "### The")) for s in document.sections
    )


def test_markdown_blocks_are_paragraphs_items_rows_and_code() -> None:
    found = blocks(parse_markdown(MARKDOWN.encode(), "x.md"))
    for block in (
        "Some *text* with\ntwo lines.",
        "```python\n# not a heading\n```",
        "- one",
        "- two\n  continued",
        "| 1 | 0.1 |",
    ):
        assert block in found


def test_markdown_nested_beyond_the_parsers_limit_keeps_its_blocks() -> None:
    document = parse_markdown(b">" * 5000 + b" deep", "x.md")
    assert blocks(document) == [document.text]


def test_articles_in_markdown_stand_below_their_chapter() -> None:
    document = parse_markdown("# 法\n\n## 第一章 总则\n\n**第一条** 为了保护权益。\n".encode(), "x.md")
    assert sections(document) == [(1, "法"), (2, "第一章 总则"), (3, "第一条")]
