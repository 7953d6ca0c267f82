"""Sentence–passage pairs made from the samples: claims that a passage supports, and the same claims made false.

True claims are sentences as they stand, retold by fixed rules, and retold by hand (`_RETOLD`). Each is made false in
turn: a number changed, an entity swapped, the statement negated, a bound turned round, a duty made a permission, a word
exchanged for its opposite, or the passage of another section put in place of its own. Claims in the other language than
their passage are written by hand, each with a false twin (`_ACROSS`). Everything is drawn with a fixed seed, so that
the set is the same on every machine.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pincite.answers.facts import numbers
from pincite.passage import DocumentReference, Passage
from pincite.sentences import sentences

SOURCE = Path(__file__).parent.parent / "samples" / "source"
DOCUMENTS = {"en": ("handbook.en.md", "../manual.md"), "zh": ("contract.zh.md",)}
_SEED = 20251122
# Sentences of fewer characters say too little to be told from others.
_SHORTEST = {"en": 45, "zh": 16}
_SECTION_CHARACTERS = 1_600


@dataclass(frozen=True, slots=True)
class Pair:
    """A claim and the passage it cites; `kind` says how it was made, `supported` whether the passage says it."""

    kind: str
    language: str
    claim: str
    passage: Passage
    supported: bool


def pairs() -> list[Pair]:
    """Return the whole set."""
    made: list[Pair] = []
    for language, names in DOCUMENTS.items():
        draw = random.Random(_SEED)
        passages = [passage for name in names for passage in _passages(name)]
        for place, passage in enumerate(passages):
            spans = [passage.text[a:b] for a, b in sentences(passage.text)]
            told = [" ".join(text.split()) for text in spans if _says_something(text, language)]
            for sentence in draw.sample(told, min(len(told), 5)):
                made += _variants(sentence, language, passages, place, draw)
    everything = [passage for names in DOCUMENTS.values() for name in names for passage in _passages(name)]
    for language, claim, words in _RETOLD:
        passage = next(passage for passage in everything if words in passage.text)
        made.append(Pair("retold", language, claim, passage, supported=True))
    for language, claim, false, words in _ACROSS:
        passage = next(passage for passage in everything if words in passage.text)
        made.append(Pair("translated", language, claim, passage, supported=True))
        made.append(Pair("translated, and changed", language, false, passage, supported=False))
    return made


def _says_something(text: str, language: str) -> bool:
    return len(text) >= _SHORTEST[language] and not text.lstrip().startswith(("|", "#", "!", "```")) and "|" not in text


def _variants(sentence: str, language: str, passages: list[Passage], place: int, draw: random.Random) -> Iterator[Pair]:
    passage = passages[place]
    retold = _RULES[language][draw.randrange(len(_RULES[language]))](sentence)
    yield Pair("verbatim", language, sentence, passage, supported=True)
    yield Pair("reworded", language, retold, passage, supported=True)
    changes = (("number", _number), ("entity", _entity), ("negated", _negated), ("bound", _bound), ("duty", _duty))
    for kind, change in (*changes, ("opposite", _opposite)):
        changed = change(sentence, language, draw)
        if changed is not None and changed != sentence and changed not in passage.text:
            yield Pair(kind, language, changed, passage, supported=False)
    other = passages[(place + 1 + draw.randrange(len(passages) - 1)) % len(passages)]
    if sentence not in " ".join(other.text.split()):
        yield Pair("elsewhere", language, sentence, other, supported=False)


def _number(sentence: str, language: str, draw: random.Random) -> str | None:
    found = [n for n in numbers(sentence) if sentence[n.start : n.end].isdigit() and len(sentence[n.start : n.end]) < 5]
    if found:
        chosen = draw.choice(found)
        digits = sentence[chosen.start : chosen.end]
        other = str(int(digits) + draw.choice([1, 2, 5, 10]))
        return sentence[: chosen.start] + other + sentence[chosen.end :]
    words = _NUMBER_WORDS[language]
    edge = r"\b" if language == "en" else ""
    spoken = list(re.finditer(f"{edge}(?:{'|'.join(words)}){edge}", sentence))
    if not spoken:
        return None
    match = draw.choice(spoken)
    other = draw.choice([word for word in words if word != match[0]])
    return sentence[: match.start()] + other + sentence[match.end() :]


_NUMBER_WORDS = {
    "en": ["two", "three", "four", "five", "seven", "ten", "twelve", "thirty"],
    "zh": ["三十", "六十", "九十", "十五", "二十", "百分之五", "百分之十"],
}


def _entity(sentence: str, language: str, draw: random.Random) -> str | None:
    swaps = _SWAPS[language]
    present = [(old, new) for old, new in swaps if re.search(rf"\b{old}\b" if language == "en" else old, sentence)]
    if not present:
        return None
    old, new = draw.choice(present)
    return re.sub(rf"\b{old}\b" if language == "en" else old, new, sentence, count=1)


_SWAPS = {
    "en": [
        ("Tarnwell", "Nordvale"),
        ("Kendal", "Leeds"),
        ("Leeds", "Rotterdam"),
        ("Suzhou", "Halifax"),
        ("China", "Canada"),
        ("United Kingdom", "Netherlands"),
        ("manager", "customer"),
        ("people team", "finance team"),
        ("customer", "supplier"),
        ("weeks", "months"),
        ("days", "weeks"),
        ("months", "years"),
        ("hours", "minutes"),
        ("pounds", "euros"),
        ("Monday", "Friday"),
        ("probe", "printer"),
    ],
    "zh": [
        ("甲方", "乙方"),
        ("乙方", "甲方"),
        ("江州", "海州"),
        ("工作日", "自然月"),
        ("设备", "房屋"),
        ("书面", "口头"),
    ],
}


def _negated(sentence: str, language: str, draw: random.Random) -> str | None:
    for old, new in _NEGATIONS[language]:
        if re.search(r"\bnot?\b|never|nobody|nothing", sentence) and " not" in new:
            continue
        changed, count = re.subn(old, new, sentence, count=1)
        if count:
            return changed
    return None


_NEGATIONS = {
    "en": [
        (r"\b(must|may|can|will|should) not\b", r"\1"),
        (r"\b(must|may|can|will|should)\b(?! not)", r"\1 not"),
        (r"\b(is|are) not\b", r"\1"),
        (r"\b(is|are|was|were)\b", r"\1 not"),
        (r"\b(has|have)\b", r"\1 no"),
    ],
    "zh": [
        ("不得", "可以"),
        ("不承担", "承担"),
        ("应当", "不应当"),
        ("有权", "无权"),
        ("可以", "不得"),
        ("不计入", "计入"),
        ("负责", "不负责"),
        ("已", "未"),
    ],
}


def _bound(sentence: str, language: str, draw: random.Random) -> str | None:
    return _first_of(_BOUNDS[language], sentence)


def _duty(sentence: str, language: str, draw: random.Random) -> str | None:
    return _first_of(_DUTIES[language], sentence)


def _opposite(sentence: str, language: str, draw: random.Random) -> str | None:
    return _first_of(_OPPOSITES[language], sentence)


def _first_of(changes: list[tuple[str, str]], sentence: str) -> str | None:
    """Return the sentence with the first of the changes that it allows, made once."""
    changed = (re.subn(old, new, sentence, count=1) for old, new in changes)
    return next((text for text, count in changed if count), None)


_FIGURE = r"(?=[^,.;]{0,12}(?:\d|one|two|three|four|five|six|seven|eight|nine|ten|twelve|thirty|sixty))"
_BOUNDS = {
    "en": [
        (rf"\bat least\b{_FIGURE}", "at most"),
        (rf"\bat most\b{_FIGURE}", "at least"),
        (rf"\bno more than\b{_FIGURE}", "no less than"),
        (rf"\bno later than\b{_FIGURE}", "no earlier than"),
        (rf"\bmore than\b{_FIGURE}", "less than"),
        (rf"\bup to\b{_FIGURE}", "at least"),
        (rf"\bbelow\b{_FIGURE}", "above"),
    ],
    "zh": [
        ("不(?:得)?超过", "不少于"),
        ("不(?:得)?低于", "不高于"),
        ("不少于", "不超过"),
        ("超过", "少于"),
        ("至少", "至多"),
        ("以上(?=[，的])", "以下"),
        ("(?<=日)内", "以上"),
    ],
}
_DUTIES = {
    "en": [(r"\b(?:must|has to|have to)\b(?! not)", "may"), (r"\bmay\b(?! not)", "must")],
    "zh": [("(?<!不)应当", "可以"), ("可以", "应当")],
}
_OPPOSITES = {
    "en": [
        (r"\bbefore\b", "after"),
        (r"\bafter\b", "before"),
        (r"\bincreases\b", "decreases"),
        (r"\blonger\b", "shorter"),
        (r"\bin writing\b", "orally"),
        (r"\b(a|per|each|every) month\b", r"\1 week"),
        (r"\b(a|per|each|every) year\b", r"\1 month"),
    ],
    "zh": [
        ("(?<=日)前", "后"),
        ("(?<=[之以])前", "后"),
        ("后(?=[一二三四五六七八九十])", "前"),
        ("每日", "每月"),
        ("提前", "推后"),
    ],
}

_RULES: dict[str, list[Callable[[str], str]]] = {
    "en": [
        lambda s: f"According to the handbook, {s[0].lower()}{s[1:]}",
        lambda s: f"The document says that {s[0].lower()}{s[1:]}",
        lambda s: s.replace(" must ", " has to ").replace(" may ", " can ").replace(" within ", " in "),
        lambda s: _largest_clause(s, ";:"),
        lambda s: re.sub(r"\bthirty\b", "30", re.sub(r"\bten\b", "10", re.sub(r"\bthree\b", "3", s))),
    ],
    "zh": [
        lambda s: f"根据合同，{s}",
        lambda s: f"合同规定：{s}",
        lambda s: s.replace("应当", "应").replace("但是", "但").replace("的", "", 1),
        lambda s: _largest_clause(s, "；"),
        lambda s: re.sub(r"^[\d.]+\s*", "", s).replace("三十", "30").replace("十五", "15").replace("九十", "90"),
    ],
}


def _largest_clause(sentence: str, marks: str) -> str:
    return max(re.split(f"[{marks}]", sentence), key=len).strip()


def _passages(name: str) -> Iterator[Passage]:
    """Yield the sections of a sample as passages, at most some paragraphs each."""
    text = (SOURCE / name).read_text("utf-8")
    title = re.sub(r"\W+", " ", name.removesuffix(".md"))
    number = 0
    for section in re.split(r"(?m)^(?=#{1,2} )", text):
        for part in _cut(section.strip()):
            if len(part) > 200:
                yield _passage(part, number, title)
                number += 1


def _cut(section: str) -> Iterator[str]:
    part = ""
    for paragraph in section.split("\n\n"):
        if part and len(part) + len(paragraph) > _SECTION_CHARACTERS:
            yield part
            part = ""
        part = f"{part}\n\n{paragraph}".strip()
    yield part


def _passage(text: str, number: int, title: str) -> Passage:
    reference = DocumentReference(title, title, f"{title}.md")
    return Passage(
        f"{title}:{number}", "kb", reference, number, 0, len(text), text, "", None, None, (), (), (), score=1.0
    )


# Retold by hand, as a careful writer would: the claim, and words of the passage it is told from.
_RETOLD: list[tuple[str, str, str]] = [
    ("en", "About 310 people work at Tarnwell Instruments.", "Around 310 people work here"),
    ("en", "The company has sites at Kendal, Leeds, Rotterdam, Suzhou and Halifax.", "The company has five sites"),
    ("en", "The Leeds calibration laboratory employs 47 people.", "The company has five sites"),
    ("en", "Visitors must sign in at reception and wear a yellow badge.", "Every visitor signs in"),
    (
        "en",
        "The contract and the handbook arrive at least 10 working days before the start.",
        "ten working days before",
    ),
    ("en", "Probation lasts four months, or six months for directors.", "The probation period is four months"),
    ("en", "During probation, employment can be ended by either side with two weeks' notice.", "The probation period"),
    ("en", "Laptops are replaced every 4 years and telephones every 3.", "Laptops are replaced every four years"),
    ("en", "Staff who work from home more than one day a week can order furniture for up to 650 pounds.", "650 pounds"),
    ("en", "A change of bank account has to be confirmed by telephone.", "confirmed by a telephone call"),
    ("en", "In China the normal week has 40 hours.", "40 in China"),
    ("en", "Core time is from 10:00 to 15:00, Monday to Thursday.", "There is no core time on Fridays"),
    (
        "en",
        "Hours above thirty at the end of the month are paid out with the next salary.",
        "What exceeds thirty hours",
    ),
    ("en", "Office staff can work from home three days a week at most.", "Office staff may work from home"),
    ("en", "Nobody may work more than twelve hours in a day.", "Nobody works more than 48 hours"),
    ("en", "The on-call engineer answers within 30 minutes.", "One duty lasts from Monday"),
    ("en", "Standby on a Sunday pays 62 pounds per day.", "Standby, per day"),
    ("en", "Carried-over leave lapses if it is not taken by 31 March.", "They must be taken by 31 March"),
    ("en", "Sickness can be self-certified for up to seven calendar days.", "certify sickness yourself"),
    ("en", "The second parent receives eight weeks of parental leave on full pay.", "eight weeks on full pay"),
    ("en", "Salaries are paid on the 25th.", "Salaries are paid on the 25th"),
    ("en", "The company contributes up to 10% to the pension.", "up to 10 per cent"),
    ("en", "Expenses must be claimed within 60 days.", "Claim within sixty days"),
    ("en", "Business class is allowed only for flights of more than nine hours.", "business class only"),
    ("en", "The hotel limit in London is 175 pounds per night.", "Hotel limit per night"),
    ("en", "The monthly limit of a company card is 1500 pounds.", "The monthly limit of a company card"),
    ("en", "A stolen laptop must be reported within one hour of noticing.", "within one hour of noticing"),
    ("zh", "合同总价为864万元。", "合同总价为人民币"),
    ("zh", "三年运行维护费为252万元。", "合同总价为人民币"),
    ("zh", "甲方逾期付款的，每日按万分之三支付违约金。", "每日万分之三支付违约金"),
    ("zh", "预付款的金额是1,140,000元。", "| 预付款 |"),
    ("zh", "乙方应在合同生效后90日内将全部设备运到甲方指定的仓库。", "合同生效后九十日内"),
    ("zh", "分批交货最多不超过三批。", "分批交货的，不得超过三批"),
    ("zh", "乙方须提前7日书面通知甲方预计到达时间。", "发货前七日书面通知"),
    ("zh", "设备毁损灭失的风险在甲方签署到货验收单时转移。", "设备毁损、灭失的风险"),
    ("zh", "逾期交货超过30日，甲方可以解除合同。", "逾期超过三十日的，甲方有权解除合同"),
    ("zh", "供电电压为220伏，允许偏差正负10%。", "供电电压为二百二十伏"),
    ("zh", "试运行为期30天，单站有效数据率须不低于90%。", "设备进入连续三十天的试运行"),
    ("zh", "损坏甲方设施的，乙方须在七日内恢复原状或照价赔偿。", "安装过程中损坏甲方设施"),
]

# In the other language than the passage, by hand: the claim, what it says when it is changed, and words of the passage.
_ACROSS: list[tuple[str, str, str, str]] = [
    (
        "en",
        "All equipment must be delivered within 90 days after the contract takes effect.",
        "All equipment must be delivered within 60 days after the contract takes effect.",
        "合同生效后九十日内",
    ),
    (
        "en",
        "The warranty lasts 24 months, and six months for wearing parts.",
        "The warranty lasts 36 months, and six months for wearing parts.",
        "质量保证期为二十四个月",
    ),
    (
        "en",
        "For late payment the buyer owes 0.03% per day, but no more than 5% of the amount.",
        "For late payment the buyer owes 0.03% per day, but no less than 5% of the amount.",
        "每日万分之三支付违约金",
    ),
    (
        "en",
        "At least five experts take part in the final acceptance.",
        "At most five experts take part in the final acceptance.",
        "邀请不少于五名专家参加",
    ),
    (
        "en",
        "A data breach has to be reported by telephone within two hours.",
        "A data breach has to be reported by telephone within two days.",
        "发现后两小时内电话通知",
    ),
    (
        "en",
        "Raw data are kept for at least five years.",
        "Raw data are kept for at least five months.",
        "原始数据保存不少于五年",
    ),
    ("en", "The price is 8.64 million yuan.", "The price is 86.4 million yuan.", "合同总价为人民币"),
    ("en", "The price is 8.64 million RMB.", "The price is 8.64 million dollars.", "合同总价为人民币"),
    ("zh", "试用期为四个月，主管为六个月。", "试用期为八个月，主管为六个月。", "The probation period is four months"),
    ("zh", "笔记本电脑被盗的，须在一小时内报告。", "笔记本电脑被盗的，须在一周内报告。", "within one hour of noticing"),
    ("zh", "报销须在60天内提出。", "报销须在60周内提出。", "Claim within sixty days"),
    ("zh", "公司卡每月的限额为1500英镑。", "公司卡每月的限额为1500欧元。", "The monthly limit of a company card"),
    ("zh", "工资于每月25日发放。", "工资于每月28日发放。", "Salaries are paid on the 25th"),
    ("zh", "公司缴纳的养老金最多为10%。", "公司缴纳的养老金至少为10%。", "up to 10 per cent"),
]
