"""Every sentence that a person reads in the chat, in English and in Chinese."""

import re

CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")

# Words of a function file's status lines, answers and refusals: the English one, then the Chinese one.
SENTENCES = {
    "everything": ("everything", "全部知识库"),
    "searching": ("Searching {where}…", "正在检索{where}…"),
    "knowledge bases": ("{count} knowledge bases", " {count} 个知识库"),
    "and attached": ("{where} and what is attached", "{where}和附件"),
    "reading": ("Reading {name}: {passages} so far…", "正在读取{name}：已有{passages}…"),
    "not indexed": (
        "{name} is not in Pincite's index yet, so it is left out. An administrator can look at the function that "
        "mirrors files.",
        "{name} 尚未进入 Pincite 的索引，因此未被检索。请管理员检查镜像文件的函数。",
    ),
    "not read": ("{name} could not be read: {reason}", "无法读取 {name}：{reason}"),
    "writing": ("Putting the question into context…", "正在结合上文理解问题…"),
    "found": ("{passages} from {documents}", "从{documents}中找到{passages}"),
    "a passage": ("1 passage", "1 个段落"),
    "passages": ("{count} passages", "{count} 个段落"),
    "a document": ("1 document", "1 个文档"),
    "documents": ("{count} documents", "{count} 个文档"),
    "nothing": ("Nothing relevant was found: {why}", "没有找到相关内容：{why}"),
    "nothing found": ("Nothing relevant found", "没有找到相关内容"),
    "empty_knowledge_base": (
        "there are no documents here that you may read yet.",
        "这里还没有您可以阅读的文档。",
    ),
    "below_floor": (
        "no passage of these documents comes close to the question. Other words may help, or the documents do not say.",
        "这些文档中没有与问题足够接近的段落。可以换一种问法，也可能文档里没有写到。",
    ),
    "filtered_out": ("no document passes the filter.", "没有符合筛选条件的文档。"),
    "extractive": (
        "No model is set to write answers, so these are the sentences that answer best, word for word:",
        "尚未设置用于撰写回答的模型，以下是最能回答问题的原文：",
    ),
    "extractive instead": (
        "The answering model did not answer ({reason}), so these are the sentences that answer best, word for word:",
        "回答模型没有作答（{reason}），以下是最能回答问题的原文：",
    ),
    "nearest": (
        "The documents do not seem to answer this question. The nearest passages, which may not answer it:",
        "文档中似乎没有能够回答这个问题的内容。以下是最接近的内容，但未必能够回答：",
    ),
    "nearest instead": (
        "The answering model did not answer ({reason}), and the documents do not seem to. The nearest passages, which "
        "may not answer the question:",
        "回答模型没有作答（{reason}），文档中似乎也没有能够回答这个问题的内容。以下是最接近的内容，但未必能够回答：",
    ),
    "model failed": ("it failed", "出错"),
    "model empty": ("it wrote nothing", "没有写出任何内容"),
    "model slow": ("it took too long", "超时"),
    "model refused": ("it is not there, or you may not use it", "它不存在，或您无权使用"),
    "checked": ("Checked against the passages:", "已对照所引段落核查："),
    "unsupported": ("⚠ not supported by the passages: “{words}”", "⚠ 所引段落不支持：“{words}”"),
    "repaired": ("supported by {references}: “{words}”", "由 {references} 支持：“{words}”"),
    "more findings": ("and {count} more", "另有 {count} 处"),
    "checking": ("Checking the sentences against the passages…", "正在对照所引段落核查各句…"),
    "all supported": ("{found} · every sentence is supported", "{found}，各句均有依据"),
    "look below": ("{found} · see what the check found, below the answer", "{found}，核查结果见回答末尾"),
    "unchecked": ("Its sentences could not be checked against the passages.", "未能对照所引段落核查各句。"),
    "cut off": ("The answering model stopped in mid-answer ({reason}).", "回答模型中途停止（{reason}）。"),
    "restarted": ("Open WebUI was restarted in mid-answer. Ask again.", "Open WebUI 在回答中途重启。请重新提问。"),
    "no question": ("There is no question to search for.", "没有可以检索的问题。"),
    "unreachable": (
        "Pincite cannot be reached, so the documents could not be searched. An administrator should check that its "
        "server is running.",
        "无法连接 Pincite，文档未能检索。请管理员确认其服务正在运行。",
    ),
    "slow": (
        "Pincite did not answer within {seconds} seconds, so the documents could not be searched. Try again later.",
        "Pincite 在 {seconds} 秒内没有响应，文档未能检索。请稍后再试。",
    ),
    "not_authenticated": (
        "Pincite does not accept this plugin's key. An administrator should set a valid one in the function's valves.",
        "Pincite 不接受此插件的密钥。请管理员在函数的阀门设置中填入有效的密钥。",
    ),
    "unknown_knowledge_base": (
        "This knowledge base is not there any more, or you may not read it.",
        "该知识库已不存在，或您无权阅读。",
    ),
    "overloaded": ("Pincite is busy. Try again in a moment.", "Pincite 正忙，请稍后再试。"),
    "question_too_long": (
        "The question is too long to search for. Ask it in fewer words.",
        "问题过长，无法检索。请缩短后再问。",
    ),
    "other": (
        "Pincite could not search the documents ({code}). An administrator finds the reason in its log.",
        "Pincite 未能检索文档（{code}）。管理员可在其日志中查到原因。",
    ),
    "page": ("{name}, p. {page}", "{name}，第 {page} 页"),
    "section": ("{name}, {section}", "{name}，{section}"),
}


def language_of(text: str, wanted: str = "auto") -> str:
    """Return "en" or "zh": the one that is wanted, else the one that `text` is written in."""
    if wanted in {"en", "zh"}:
        return wanted
    return "zh" if CHINESE.search(text) else "en"


def say(language: str, sentence: str, **values: object) -> str:
    """Return one of the sentences, filled in."""
    english, chinese = SENTENCES[sentence]
    return (chinese if language == "zh" else english).format(**values)


def counted(language: str, one: str, several: str, count: int) -> str:
    """Return a number of things, such as "1 passage" or "5 passages"."""
    return say(language, one) if count == 1 else say(language, several, count=count)
