"""The page viewer in a real browser, framed as a chat client frames it: sandboxed, without cookies or an origin."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import escape
from urllib.parse import urlencode

import pytest
from playwright.async_api import Browser, Frame, Page

from pincite.access import Principal
from tests.http_server.sample_workspace import DOCUMENTS, MANUAL, NOTICE, Served, listen, serve
from tests.real.browser import chromium

SANDBOX = "allow-scripts allow-downloads"  # what Open WebUI's side panel grants

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Site:
    """A running server with the sample documents, and a browser to look at it."""

    served: Served
    base: str
    browser: Browser

    async def link(self, path: str, **query: object) -> str:
        document_id = (await self.served.document_ids("library"))[path]
        token = self.served.workspace.sign_view(Principal.system(), document_id)
        return f"{self.base}/view/{document_id}?{urlencode([*query.items(), ('t', token)])}&chat_id=1&message_id=2"

    async def clause_link(self, **query: object) -> str:
        """Return a link to the notice clause with one word marked."""
        contract = (await self.served.document_ids("library"))["contract.pdf"]
        with await self.served.workspace.stored(Principal.system(), contract) as stored:
            start = stored.text.index(NOTICE)
        word = start + NOTICE.index("ninety")
        marked = {"page": 2, "start": start, "end": start + len(NOTICE), "m": f"{word}-{word + 6}"}
        return await self.link("contract.pdf", **(marked | query))


@dataclass
class Framed:
    """A viewer in a sandboxed frame, and what the browser did and said meanwhile."""

    page: Page
    frame: Frame
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def loaded(self) -> None:
        """Wait until the frame has loaded its page and knows its size, which a sandboxed one is told late."""
        await self.frame.wait_for_load_state("networkidle")
        size = list((self.page.viewport_size or {}).values())
        await self.frame.wait_for_function("size => `${[innerWidth, innerHeight]}` === `${size}`", arg=size)

    async def pictured(self) -> None:
        """Wait until the page's picture is drawn; the browser may load a sharper one once it knows the width."""
        await self.frame.wait_for_function("() => picture.complete && picture.naturalWidth > 600")


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with serve(tmp_path_factory.mktemp("library")) as served, chromium() as browser:
        await served.add("library", DOCUMENTS)
        async with listen(served.app) as base:
            yield Site(served, base, browser)


@asynccontextmanager
async def framed(site: Site, link: str, width: int = 900, height: int = 700) -> AsyncIterator[Framed]:
    """Show a link in a sandboxed frame of a page with another origin; afterwards nobody may have complained."""
    context = await site.browser.new_context(viewport={"width": width, "height": height}, locale="en-US")
    page = await context.new_page()
    seen = Framed(page, page.main_frame)
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("console", lambda message: seen.complaints.append(message.text))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    await page.set_content(
        f'<body style="margin:0"><iframe sandbox="{SANDBOX}" src="{escape(link)}" '
        'style="border:0;width:100vw;height:100vh;display:block"></iframe>'
    )
    (seen.frame,) = page.main_frame.child_frames
    await seen.loaded()
    yield seen
    assert seen.complaints == []
    assert [url for url in seen.requests if not url.startswith((site.base, "data:"))] == []
    assert await context.cookies() == []
    await context.close()


async def rectangle(frame: Frame, selector: str) -> dict[str, float]:
    """Return where an element stands in the frame, in CSS pixels."""
    box: dict[str, float] = await frame.eval_on_selector(selector, "e => e.getBoundingClientRect().toJSON()")
    return box


async def test_the_cited_page_is_shown_with_the_passage_marked_and_in_view(site: Site) -> None:
    async with framed(site, await site.clause_link(), height=400) as seen:
        await seen.pictured()
        mark = await rectangle(seen.frame, "#mark")
        assert 0 < mark["top"] < mark["bottom"] < 400
        passage = await rectangle(seen.frame, "rect.passage")
        assert passage["left"] < mark["left"] < mark["right"] < passage["right"]
        assert await seen.frame.evaluate("self.origin") == "null"  # the sandbox really took the origin away


async def test_the_picture_fits_the_text_that_lies_over_it(site: Site) -> None:
    async with framed(site, await site.clause_link()) as seen:
        page = await rectangle(seen.frame, ".page")
        word = seen.frame.locator(".text span", has_text="ninety")
        box = await word.evaluate("e => e.getBoundingClientRect().toJSON()")
        mark = await rectangle(seen.frame, "rect.term")
        assert page["height"] / page["width"] == pytest.approx(842 / 595, rel=0.01)
        assert box["left"] == pytest.approx(mark["left"], abs=3)
        assert box["top"] == pytest.approx(mark["top"], abs=3)


async def test_a_dragged_selection_is_the_text_of_the_page(site: Site) -> None:
    async with framed(site, await site.clause_link()) as seen:
        first = await seen.frame.locator(".text span", has_text="Either").bounding_box()
        last = await seen.frame.locator(".text span", has_text="notice.").bounding_box()
        assert first is not None
        assert last is not None
        mouse = seen.page.mouse
        await mouse.move(first["x"] + 1, first["y"] + first["height"] / 2)
        await mouse.down()
        await mouse.move(last["x"] + last["width"] / 2, last["y"] + last["height"] + 9, steps=8)
        await mouse.move(last["x"] + last["width"] - 1, last["y"] + last["height"] / 2, steps=8)
        await mouse.up()
        assert (await seen.frame.evaluate("getSelection().toString()")).strip() == NOTICE


async def test_pages_turn_by_button_by_key_and_by_number(site: Site) -> None:
    async with framed(site, await site.clause_link()) as seen:

        async def turn(action: str) -> str:
            async with seen.page.expect_event("framenavigated"):
                if action.startswith("#"):
                    await seen.frame.click(action)
                else:
                    await seen.frame.press("#main", action)
            await seen.loaded()
            return await seen.frame.input_value("#number")

        assert await turn("#next") == "3"
        assert await seen.frame.get_by_role("note").inner_text() != ""  # the page that is only a picture says so
        assert await turn("#previous") == "2"
        assert await seen.frame.locator("rect.term").count() == 1
        assert await turn("ArrowLeft") == "1"
        assert await seen.frame.locator("rect").count() == 0
        async with seen.page.expect_event("framenavigated"):
            await seen.frame.click("footer a")
        await seen.loaded()
        assert await seen.frame.input_value("#number") == "2"
        await seen.frame.fill("#number", "3")
        async with seen.page.expect_event("framenavigated"):
            await seen.frame.press("#number", "Enter")
        await seen.loaded()
        assert await seen.frame.input_value("#number") == "3"


async def test_zoom_grows_the_page_keeps_the_marks_on_the_words_and_is_kept_on_the_next_page(site: Site) -> None:
    async with framed(site, await site.clause_link()) as seen:
        before = await rectangle(seen.frame, ".page")
        await seen.frame.click("#zoom-in")
        await seen.frame.press("#main", "+")
        after = await rectangle(seen.frame, ".page")
        assert after["width"] == pytest.approx(before["width"] * 1.56, rel=0.01)
        mark = await rectangle(seen.frame, "rect.term")
        word = await seen.frame.locator(".text span", has_text="ninety").evaluate("e => e.getBoundingClientRect().left")
        assert word == pytest.approx(mark["left"], abs=4)
        async with seen.page.expect_event("framenavigated"):
            await seen.frame.click("#next")
        await seen.loaded()
        assert await seen.frame.inner_text("#zoom") == "156 %"
        await seen.frame.click("#fit")
        fitted = await rectangle(seen.frame, ".page")
        assert fitted["width"] == pytest.approx(before["width"], rel=0.01)


async def test_a_narrow_panel_begins_at_the_size_of_the_passage(site: Site) -> None:
    async with framed(site, await site.clause_link(), width=420) as seen:
        passage = await rectangle(seen.frame, "rect.passage")
        assert passage["left"] >= 0
        assert passage["right"] <= 420
        assert passage["width"] > 420 * 0.8


async def test_the_passage_stays_in_view_while_the_panel_takes_its_size_and_then_the_reader_decides(site: Site) -> None:
    async with framed(site, await site.clause_link(), width=300, height=150) as seen:
        await seen.page.set_viewport_size({"width": 900, "height": 400})
        await seen.loaded()
        mark = await rectangle(seen.frame, "#mark")
        assert 0 < mark["top"] < mark["bottom"] < 400
        assert await seen.frame.inner_text("#zoom") == "100 %"
        await seen.frame.click("#zoom-in")
        await seen.frame.evaluate("main.scrollTo(0, 0)")
        await seen.page.set_viewport_size({"width": 600, "height": 400})
        await seen.loaded()
        assert await seen.frame.evaluate("main.scrollTop") == 0
        assert await seen.frame.inner_text("#zoom") == "125 %"


async def test_a_format_without_pages_is_text_with_the_words_marked_and_in_view(site: Site) -> None:
    start = MANUAL.index("Keep the pump")
    link = await site.link("manual.md", start=start, end=start + 25, m=f"{start + 9}-{start + 13}")
    async with framed(site, link, height=260) as seen:
        assert await seen.frame.inner_text("mark.term") == "pump"
        mark = await rectangle(seen.frame, "mark.term")
        assert 0 < mark["top"] < mark["bottom"] < 260
        assert "Change the <oil> every 400 hours" in await seen.frame.inner_text("article")


async def test_the_language_is_switched_in_place(site: Site) -> None:
    async with framed(site, await site.clause_link()) as seen:
        async with seen.page.expect_event("framenavigated"):
            await seen.frame.click(".language")
        await seen.loaded()
        assert await seen.frame.get_attribute("#next", "aria-label") == "下一页"
        assert await seen.frame.input_value("#number") == "2"
        assert await seen.frame.locator("rect.term").count() == 1


async def test_the_original_can_be_downloaded_from_inside_the_sandbox(site: Site) -> None:
    async with framed(site, await site.clause_link()) as seen:
        async with seen.page.expect_download() as download:
            await seen.frame.click("#original")
        received = await (await download.value).path()
        assert received.read_bytes() == DOCUMENTS["contract.pdf"]
        assert (await download.value).suggested_filename == "contract.pdf"


async def test_without_its_picture_a_page_still_shows_its_words(site: Site) -> None:
    async with framed(site, await site.clause_link()) as seen:
        await seen.page.route("**/*.png?*", lambda route: route.fulfill(status=200, body=b"", content_type="image/png"))
        async with seen.page.expect_event("framenavigated"):
            await seen.frame.click("#previous")
        await seen.frame.wait_for_selector(".no-picture .broken", state="visible")
        color = await seen.frame.eval_on_selector(".text span", "e => getComputedStyle(e).color")
        assert color == "rgb(17, 17, 17)"
