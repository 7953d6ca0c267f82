"""The page viewer opens by a signed link alone, shows what was cited, and says nothing to anyone else."""

import re
from urllib.parse import urlencode

import httpx
import pytest

from http_server.security_headers import page_policy
from pincite.access import Principal
from tests.http_server.sample_workspace import DOCUMENTS, MANUAL, NOTICE, Served

pytestmark = pytest.mark.anyio


async def view(served: Served, path: str, headers: dict[str, str] | None = None, **query: object) -> httpx.Response:
    """Open a document of the library as a browser with a valid link would."""
    document_id = (await served.document_ids("library"))[path]
    token = served.workspace.sign_view(Principal.system(), document_id)
    pairs = [(key, str(one)) for key, value in query.items() for one in (value if isinstance(value, list) else [value])]
    address = f"/view/{document_id}?{urlencode([*pairs, ('t', token)])}"
    return await served.anonymous().get(address, headers=headers or {})


async def clause(served: Served) -> tuple[int, int]:
    """Return where the notice clause stands in the contract."""
    with await served.workspace.stored(
        Principal.system(), (await served.document_ids("library"))["contract.pdf"]
    ) as stored:
        start = stored.text.index(NOTICE)
        return start, start + len(NOTICE)


def rectangles(page: str, kind: str) -> list[tuple[float, ...]]:
    found = re.findall(rf'<rect class="{kind}"[^>]* x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', page)
    return [tuple(map(float, numbers)) for numbers in found]


async def test_the_passage_and_its_words_are_marked_where_they_stand(library: Served) -> None:
    start, end = await clause(library)
    word = start + NOTICE.index("ninety")
    page = (await view(library, "contract.pdf", page=2, start=start, end=end, m=f"{word}-{word + 6}")).text
    ((x, y, width, _),) = rectangles(page, "passage")
    assert (70 < x < 73, 415 < y < 431, 300 < width < 400) == (True, True, True)
    ((word_x, word_y, word_width, _),) = rectangles(page, "term")
    assert x < word_x < word_x + word_width < x + width
    assert word_y == y
    assert page.count('id="mark"') == 1
    assert re.search(r'<rect class="term" id="mark"', page)


async def test_the_best_sentence_is_what_comes_into_view_and_names_the_section(library: Served) -> None:
    start, end = await clause(library)
    page = (await view(library, "contract.pdf", page=2, start=0, end=end, m="0-6", s=f"{start}-{end}")).text
    assert page.count('id="mark"') == 1
    assert re.search(r'<rect class="sentence" id="mark"', page)
    assert '<span dir="auto">2 Termination</span>' in page
    assert "Best sentence" in page
    assert "begins on page 1</a>" in page


async def test_the_page_names_its_label_its_number_and_its_section(library: Served) -> None:
    start, end = await clause(library)
    page = (await view(library, "contract.pdf", page=2, start=start, end=end)).text
    assert 'value="2"' in page
    assert '<span class="label">(1)</span><span class="count">/ 3</span>' in page
    assert '<span dir="auto">2 Termination</span>' in page


async def test_a_link_without_a_page_opens_where_the_passage_begins(library: Served) -> None:
    start, end = await clause(library)
    page = (await view(library, "contract.pdf", start=start, end=end)).text
    assert 'value="2"' in page
    assert len(rectangles(page, "passage")) == 1


async def test_another_page_leads_back_to_the_passage(library: Served) -> None:
    start, end = await clause(library)
    page = (await view(library, "contract.pdf", page=1, start=start, end=end)).text
    assert rectangles(page, "passage") == []
    assert re.search(r'<a href="\?page=2&amp;start=\d+&amp;end=\d+&amp;t=[^"]+">Show the passage</a>', page)
    assert 'rel="next"' in page
    assert 'rel="prev"' not in page


async def test_the_words_of_the_page_are_there_to_be_selected(library: Served) -> None:
    page = (await view(library, "contract.pdf", page=2)).text
    layer = page[page.index('<div class="text"') : page.index("</article>")]
    words = re.sub(r"<br>", "\n", layer)
    assert NOTICE in re.sub(r"<[^>]+>", "", words)


async def test_a_page_without_text_says_so(library: Served) -> None:
    page = (await view(library, "contract.pdf", page=3)).text
    assert "This page has no text layer, only a picture." in page


async def test_the_picture_the_page_asks_for_is_served_by_the_same_link(library: Served) -> None:
    page = (await view(library, "contract.pdf", page=2)).text
    sources = re.findall(r"[^\s\"]+\.png\?[^\s\"]+", page)
    assert len(sources) == 5  # the plain one and four sizes
    for source in sources:
        picture = await library.anonymous().get("/view/" + source.replace("&amp;", "&"))
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
        assert picture.headers["cache-control"].startswith("private")


async def test_a_format_without_pages_shows_its_text_escaped_with_the_marks_in_it(library: Served) -> None:
    start = MANUAL.index("Change")
    word = MANUAL.index("mineral")
    page = (await view(library, "manual.md", start=start, end=start + 67, m=f"{word}-{word + 7}")).text
    assert '<mark class="passage">Change the &lt;oil&gt; every 400 hours of operation. Use </mark>' in page
    assert '<mark class="passage term" id="mark">mineral</mark>' in page
    assert "<h3" in page
    assert '<span dir="auto">Maintenance</span>' in page


async def test_what_a_document_calls_itself_is_text_and_never_markup(library: Served) -> None:
    page = (await view(library, "contract.pdf", page=1)).text
    assert "Supply &lt;i&gt;agreement&lt;/i&gt;" in page
    assert "<i>agreement" not in page
    hostile = '"><script>alert(1)</script>'
    page = (await view(library, "contract.pdf", page=1, lang=hostile, m=hostile, z=hostile)).text
    assert "alert(1)" not in page


async def test_chinese_is_spoken_to_who_reads_it_and_one_click_away_for_others(library: Served) -> None:
    page = (await view(library, "手册.md", headers={"Accept-Language": "zh-CN,zh;q=0.9"})).text
    assert '<html lang="zh"' in page
    assert 'aria-label="下载原文件"' in page
    page = (await view(library, "手册.md")).text
    assert '<html lang="en"' in page
    assert re.search(r'href="\?part=1&amp;lang=zh&amp;t=|href="\?lang=zh&amp;t=', page)
    assert '<html lang="zh"' in (await view(library, "手册.md", lang="zh")).text


async def test_nothing_is_loaded_from_elsewhere_and_nothing_foreign_may_run(library: Served) -> None:
    answer = await view(library, "contract.pdf", page=2)
    assert re.findall(r'(?:src|href|srcset)="(?:https?:)?//', answer.text) == []
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    nonce = re.fullmatch(r"'nonce-([\w-]+)'", policy["script-src"])
    assert nonce is not None
    assert answer.text.count(f'<script nonce="{nonce[1]}">') == 1
    assert "frame-ancestors" not in policy  # anyone may frame it, unless the settings name who
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "private" in answer.headers["cache-control"]
    assert "set-cookie" not in answer.headers
    assert "x-frame-options" not in answer.headers
    again = await view(library, "contract.pdf", page=2)
    assert nonce[1] not in again.headers["content-security-policy"]


def test_the_settings_may_name_who_frames_the_viewer() -> None:
    assert page_policy("n", "https://chat.example.com").endswith("; frame-ancestors https://chat.example.com")
    assert "frame-ancestors" not in page_policy("n", "*")


async def test_the_original_is_a_download_whatever_it_is(library: Served) -> None:
    page = (await view(library, "contract.pdf", page=1)).text
    found = re.search(r'id="original" href="([^"]+)"', page)
    assert found is not None
    answer = await library.anonymous().get("/view/" + found[1].replace("&amp;", "&"))
    assert answer.content == DOCUMENTS["contract.pdf"]
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


async def test_a_link_opens_one_document_for_as_long_as_its_reader_may(library: Served) -> None:
    ids = await library.document_ids("library")
    contract, manual = ids["contract.pdf"], ids["manual.md"]
    token = library.workspace.sign_view(Principal.system(), manual)
    browser = library.anonymous()
    for address in (f"/view/{contract}", f"/view/{contract}/pages/1.png", f"/view/{contract}/original"):
        assert (await browser.get(address, params={"t": token})).status_code == 404, address
        assert (await browser.get(address, params={"t": "forged.token"})).status_code == 401, address
        assert (await browser.get(address)).status_code in {401, 422}, address
    stranger = Principal("key_gone", "gone", frozenset({"read"}))
    gone = await browser.get(f"/view/{contract}", params={"t": library.workspace.sign_view(stranger, contract)})
    assert gone.status_code == 401


async def test_an_error_is_a_page_in_the_readers_language(library: Served) -> None:
    ids = await library.document_ids("library")
    answer = await library.anonymous().get(
        f"/view/{ids['manual.md']}", params={"t": "x"}, headers={"Accept-Language": "zh"}
    )
    assert (answer.status_code, answer.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "此链接已失效" in answer.text
    assert (await view(library, "contract.pdf", page=99)).status_code == 404
    assert (await view(library, "manual.md", part=99)).status_code == 404


async def test_only_the_scales_of_the_viewer_are_drawn(library: Served) -> None:
    contract = (await library.document_ids("library"))["contract.pdf"]
    token = library.workspace.sign_view(Principal.system(), contract)
    answer = await library.anonymous().get(f"/view/{contract}/pages/1.png", params={"t": token, "scale": 17})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
