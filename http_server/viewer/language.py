"""The words of the viewer in the languages it speaks, and which of them a browser wants."""

from collections.abc import Mapping

DEFAULT_LANGUAGE = "en"

# The server's own sentences are English: `help_…` stands in for them where a language has it.
MESSAGES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "back": "Show the passage",
        "broken_image": "The picture of this page could not be drawn. This is its text.",
        "continues": "continues on page {page}",
        "continues_part": "continues in the next part",
        "download": "Download the original",
        "error_403": "You may not read this document",
        "error_401": "This link no longer opens the document",
        "error_404": "There is nothing here any more",
        "error_429": "The server is busy",
        "error_other": "The page could not be shown",
        "fit": "Fit the width",
        "language": "Language",
        "next": "Next page",
        "next_part": "Next part",
        "no_text": "This page has no text layer, only a picture. Its words cannot be searched, selected or marked.",
        "page": "Page",
        "page_of": "Page {page} of {pages}",
        "pages": "Pages",
        "part": "Part",
        "part_of": "Part {page} of {pages}",
        "passage": "Passage",
        "previous": "Previous page",
        "previous_part": "Previous part",
        "section": "Section",
        "sentence": "Best sentence",
        "skip": "Skip to the passage",
        "started": "begins on page {page}",
        "term": "Matched words",
        "zoom": "Zoom",
        "zoom_in": "Larger",
        "zoom_out": "Smaller",
    },
    "zh": {
        "back": "回到引文",
        "broken_image": "无法绘制此页的图像，以下为其文字内容。",
        "continues": "续见第 {page} 页",
        "continues_part": "续见下一部分",
        "download": "下载原文件",
        "error_403": "您无权阅读此文档",
        "error_401": "此链接已失效",
        "error_404": "此处已无内容",
        "error_429": "服务器繁忙",
        "error_other": "无法显示此页",
        "fit": "适合宽度",
        "help_401": "链接无效或已过期。请重新提问，新的回答会附上新的链接。",
        "help_403": "请向知识库的管理员申请权限。",
        "help_404": "文档或页面不存在，可能已被移除。",
        "help_429": "请稍候再刷新页面。",
        "language": "语言",
        "next": "下一页",
        "next_part": "下一部分",
        "no_text": "此页没有文字层，只有图像，无法检索、选择或标记其中的文字。",
        "page": "页",
        "page_of": "第 {page} 页，共 {pages} 页",
        "pages": "页面",
        "part": "部分",
        "part_of": "第 {page} 部分，共 {pages} 部分",
        "passage": "引文",
        "previous": "上一页",
        "previous_part": "上一部分",
        "section": "章节",
        "sentence": "最相关的句子",
        "skip": "跳到引文",
        "started": "始于第 {page} 页",
        "term": "匹配词",
        "zoom": "缩放",
        "zoom_in": "放大",
        "zoom_out": "缩小",
    },
}


def choose_language(asked: str | None, accept_language: str) -> str:
    """Return the language to speak: the one asked for if there is such, else the browser's first that there is."""
    if asked is not None and asked in MESSAGES:
        return asked
    for tag in _by_preference(accept_language):
        language = tag.split("-")[0].lower()
        if language in MESSAGES:
            return language
    return DEFAULT_LANGUAGE


def _by_preference(accept_language: str) -> list[str]:
    """Return the tags of an Accept-Language header, the most wanted first (RFC 9110, section 12.5.4)."""
    weighted = []
    for item in accept_language.split(",")[:32]:
        tag, _, weight = item.partition(";q=")
        try:
            weighted.append((float(weight) if weight else 1.0, tag.strip()))
        except ValueError:
            continue
    wanted = [(weight, tag) for weight, tag in weighted if weight > 0]
    return [tag for _, tag in sorted(wanted, key=lambda pair: -pair[0])]
