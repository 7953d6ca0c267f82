"""A heading is known by its number, and a sentence that only begins with one is not a heading."""

import pytest

from pincite.parsing.headings import numbered_heading, reads_like_a_title


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("ARTICLE V", "ARTICLE V"),
        ("ARTICLE V. TERM AND TERMINATION", "ARTICLE V. TERM AND TERMINATION"),
        ("Section 5.1 Limitation of Liability.", "Section 5.1 Limitation of Liability"),
        ("5.1 Limitation of Liability", "5.1 Limitation of Liability"),
        ("4.I. LATE CHARGE AND INTEREST.", "4.I. LATE CHARGE AND INTEREST"),
        ("3 Related Work", "3 Related Work"),
        ("Exhibit B", "Exhibit B"),
        ("第五条 违约责任", "第五条 违约责任"),
        ("第三章　总则", "第三章 总则"),
        ("一、公司基本情况", "一、公司基本情况"),
        ("（二）付款方式", "（二）付款方式"),
        ("附件一 价格表", "附件一 价格表"),
    ],
)
def test_a_line_that_is_nothing_but_a_heading(text: str, title: str) -> None:
    found = numbered_heading(text, alone=True)
    assert found is not None
    assert found.title == title


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("8.2 Termination for Convenience. Either party may end it.", "8.2 Termination for Convenience"),
        ("2.1.3 Protocol Approval. SFJ will be responsible", "2.1.3 Protocol Approval"),
        ("Section 3.5 Notices to the Owner: Each notice shall", "Section 3.5 Notices to the Owner"),
        ("Article 12. Force Majeure. Neither party is liable", "Article 12. Force Majeure"),
        ("第五条 违约责任 甲方逾期付款的，应当支付违约金。", "第五条 违约责任"),
        ("5.1 交货地点。乙方应当将设备运抵甲方仓库。", "5.1 交货地点"),
        ("第十二条 用人单位应当按照合同约定和国家规定及时足额支付劳动报酬。", "第十二条"),
    ],
)
def test_a_heading_run_into_its_paragraph(text: str, title: str) -> None:
    found = numbered_heading(text, alone=False)
    assert found is not None
    assert found.title == title


@pytest.mark.parametrize(
    "text",
    [
        "1. Open the valve. Then close it again.",
        "1998 The year began with a loss",
        "1.46 “FDA” means the Food and Drug Administration",
        "12 months after the date of delivery",
        "9.5% of the Net Sales",
        "Section 5.1 of the Agreement shall apply.",
        "第五条规定的期限届满后",
        "(a) the goods are late",
        "1) Product Attachments",
        "30 June 2024, being the date of signing",
        "3.1 甲方按照下列节点付款。乙方应当在每次付款前提交付款申请。",
        "17.1 本合同适用中华人民共和国法律，不适用其冲突规范。",
    ],
)
def test_a_sentence_that_begins_with_a_number_is_no_heading(text: str) -> None:
    assert numbered_heading(text, alone=False) is None


def test_a_title_set_like_a_heading_needs_no_capitals() -> None:
    text = "5. Use and repair of the stock"
    assert numbered_heading(text, alone=True) is None
    found = numbered_heading(text, alone=True, emphasised=True)
    assert found is not None
    assert found.title == text


def test_ranks_follow_the_depth_of_the_number() -> None:
    texts = ["Exhibit A", "ARTICLE I TERM", "1. Term", "1.1 First Term", "1.1.1 Start of the First Term"]
    ranks = [found.rank for text in texts if (found := numbered_heading(text, alone=True))]
    assert ranks == sorted(set(ranks))
    chinese = ["第一编 总则", "第一章 总则", "第一节 目的", "第一条 目的", "一、目的", "（一）目的"]
    ranks = [found.rank for text in chinese if (found := numbered_heading(text, alone=True))]
    assert ranks == sorted(set(ranks))
    assert len(ranks) == len(chinese)


def test_a_title_has_capitals_on_its_main_words() -> None:
    assert reads_like_a_title("Rights and Duties of the Parties")
    assert reads_like_a_title("Préambule")
    assert not reads_like_a_title("the parties")
    assert not reads_like_a_title("Rights and duties of the parties are set out here;")
    assert not reads_like_a_title("IBM shall keep all Records for ten Years")
