"""Text in the encodings that companies still have on their disks is read as it was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pincite.parsing.encodings import decode

SIMPLIFIED = "第五条　付款：甲方应于收到发票后三十日内付清全部价款，逾期按日万分之五支付违约金。"
TRADITIONAL = "第五條　付款：甲方應於收到發票後三十日內付清全部價款，逾期按日萬分之五支付違約金。"
JAPANESE = "この契約は署名の日から効力を生じます。名前,年齢,住所"
KOREAN = "이 계약은 서명한 날부터 효력을 발생한다. 이름, 나이, 주소"
RUSSIAN = "Договор вступает в силу со дня его подписания обеими сторонами."


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *(
            (t, e)
            for t in (SIMPLIFIED, "姓名", "张三,30,北京", "合同编号：HT-2024-001")
            for e in ("gbk", "gb18030", "utf-8")
        ),
        *((t, "big5") for t in (TRADITIONAL, "姓名", "臺灣大學")),
        *((t, e) for t in (JAPANESE, "東京都の住所") for e in ("shift_jis", "cp932", "euc_jp", "iso2022_jp")),
        (KOREAN, "euc_kr"),
        (RUSSIAN, "cp1251"),
        *((t, "latin-1") for t in ("Prüfung der Verträge, façade, señor", "Müller", "ÜBERSICHT", "El Niño ¿qué?")),
        *((t, "cp1252") for t in ("“quoted” — 5 €", "L’été à Paris – coûte 5 €")),
        *((t, e) for t in (SIMPLIFIED, "plain\ntext") for e in ("utf-16", "utf-8-sig", "utf-32")),
        *((f"contract {SIMPLIFIED}\n", e) for e in ("utf-16-le", "utf-16-be")),
    ],
)
def test_text_is_read_in_the_encoding_it_was_written_in(text: str, encoding: str) -> None:
    decoded = decode(text.encode(encoding))
    assert (decoded.text, decoded.undecoded_bytes) == (text, 0)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\ufeff\x00\x1b")))
def test_utf8_is_always_read_as_utf8(text: str) -> None:
    assert decode(text.encode()).text == text


@given(st.binary(max_size=300))
def test_any_bytes_give_some_text(data: bytes) -> None:
    decode(data).text.encode("utf-8")


def test_a_declared_encoding_is_believed_where_it_fits() -> None:
    data = "喆囍".encode("gbk")
    assert decode(data, "gb2312").text == "喆囍"
    assert decode("姓名".encode(), "gb2312").text != ""
    assert decode(b"plain", "no-such-encoding").text == "plain"
    assert decode(rb"A", "unicode_escape").text == rb"A".decode()


def test_lines_of_two_encodings_are_each_read_in_their_own() -> None:
    decoded = decode(f"{SIMPLIFIED}\n".encode() * 3 + f"{SIMPLIFIED}\n".encode("gbk") * 3)
    assert decoded.text == f"{SIMPLIFIED}\n" * 6
    assert decoded.encoding == "utf-8 and gb18030"


def test_bytes_that_are_no_text_are_counted() -> None:
    decoded = decode(SIMPLIFIED.encode() * 20 + b"\xff\xfe\xfd")
    assert decoded.text == SIMPLIFIED * 20 + "\ufffd" * 3
    assert decoded.undecoded_bytes == 3
