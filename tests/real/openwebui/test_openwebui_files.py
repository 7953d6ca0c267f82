"""Files in a real Open WebUI: what is attached to a chat, or dragged into its Knowledge, is found and cited."""

import re
from typing import Any

import pytest
from playwright.async_api import FilePayload, Request
from playwright.async_api import TimeoutError as PlaywrightTimeout

from tests.real.openwebui.conftest import House, cites, say, screenshot, until

pytestmark = pytest.mark.anyio

BERTHS = b"# Berths\n\nThe ferry to Tarn Island leaves from berth seventeen at half past six.\n"
BERTH = "From which berth does the ferry to Tarn Island leave?"
LIGHTS = b"# Lights\n\nThe lighthouse of Skerry Point shows two white flashes every nine seconds.\n"
LIGHT = "Which light does the lighthouse of Skerry Point show?"

UNTIL_IT_UPLOADS_MS = 30_000


async def sources_of(user: Any, question: str) -> list[str]:
    """Return the citations of an answer from everything that someone may read."""
    asked = {"model": "pincite.everything", "messages": [{"role": "user", "content": question}], "stream": False}
    answer = await user.ask("POST", "/api/chat/completions", asked)
    return [source["source"]["name"] for source in answer["sources"]]


def is_upload(request: Request) -> bool:
    return request.method == "POST" and "/api/v1/files" in request.url


async def upload(user: Any, name: str, content: bytes) -> str:
    """Upload a file as a program does, and return its id."""
    sent = await user.http.post("/api/v1/files/?process_in_background=false", files={"file": (name, content)})
    assert sent.is_success, sent.text
    return str(sent.json()["id"])


async def test_a_file_attached_to_a_chat_is_cited_to_its_owner_alone_until_it_is_deleted(house: House) -> None:
    admin, dora = house.openwebui.admin, await house.openwebui.add_user("Dora")
    async with house.page(admin, await house.model_id("handbook")) as page:
        attached = FilePayload(name="berths.md", mimeType="text/markdown", buffer=BERTHS)
        await page.set_input_files('input[type="file"]', attached)
        await page.wait_for_selector("text=berths.md")
        await say(page, BERTH)
        await cites(page, "berths.md, Berths")
        await screenshot(page, "attached")
    assert await sources_of(admin, BERTH) == ["berths.md, Berths"]
    assert await sources_of(dora, BERTH) == []

    (file,) = [each for each in (await admin.ask("GET", "/api/v1/files/"))["items"] if each["filename"] == "berths.md"]
    name = f"Attachments · {file['user_id']}"
    assert (await house.knowledge_bases())[name]["settings"]["readers"] == [f"user:{file['user_id']}"]
    assert not any("Attachments" in model["name"] for model in (await admin.ask("GET", "/api/models"))["data"])
    await admin.ask("DELETE", f"/api/v1/files/{file['id']}")

    async def gone() -> bool:
        return name not in await house.knowledge_bases()

    await until(gone)
    assert await sources_of(admin, BERTH) == []


async def test_a_file_dragged_into_knowledge_is_mirrored_for_its_readers_and_goes_with_it(house: House) -> None:
    admin, carol = house.openwebui.admin, await house.openwebui.add_user("Carol")
    made = await admin.ask("POST", "/api/v1/knowledge/create", {"name": "Harbour", "description": "Ships"})
    async with house.page(admin, "pincite.everything") as page:
        await page.goto(f"{house.openwebui.address}/workspace/knowledge/{made['id']}")
        dragged = await page.evaluate_handle(
            """text => { const data = new DataTransfer();
                data.items.add(new File([text], "lights.md", {type: "text/markdown"})); return data; }""",
            LIGHTS.decode(),
        )
        await page.wait_for_selector("#collection-container")

        async def dropped() -> bool:
            """Drop it, and say whether the page took it: one that is still being built does not."""
            try:
                async with page.expect_request(is_upload, timeout=UNTIL_IT_UPLOADS_MS):
                    for event in ("dragover", "drop"):
                        await page.dispatch_event("#collection-container", event, {"dataTransfer": dragged})
            except PlaywrightTimeout:
                return False
            return True

        await until(dropped)

        async def arrived() -> bool:
            return bool((await admin.ask("GET", f"/api/v1/knowledge/{made['id']}/files"))["items"])

        await until(arrived)
        await page.reload()  # the list that was being fetched when the file came does not have it
        await page.wait_for_selector("text=lights.md")
        await screenshot(page, "dragged")

    async def indexed() -> bool:
        found = (await house.knowledge_bases()).get("Harbour · Open WebUI")
        return found is not None and bool(found["documents"])

    await until(indexed)
    assert not re.search("indexed|removed", await house.openwebui_command("sync"))  # it was done already
    model = await house.model_id("Harbour · Open WebUI")
    async with house.page(admin, model) as page:
        await say(page, LIGHT)
        await cites(page, "lights.md, Lights")
    async with house.page(admin, await house.model_id("handbook")) as page:  # one file, picked by its name
        await page.click("#chat-input")
        await page.keyboard.type("#lights")
        await page.get_by_role("button", name=re.compile(r"lights\.md")).first.click()
        await say(page, LIGHT)
        await cites(page, "lights.md, Lights")
        await screenshot(page, "picked")
    assert model not in {listed["id"] for listed in (await carol.ask("GET", "/api/models"))["data"]}
    assert await sources_of(carol, LIGHT) == []

    # Shared with Carol, she gets the model and its passages, and nobody has to run a command.
    grant = {"principal_type": "user", "permission": "read"}
    carols = (await carol.ask("GET", "/api/v1/auths/"))["id"]
    grants = {"access_grants": [grant | {"principal_id": carols}]}
    await admin.ask("POST", f"/api/v1/knowledge/{made['id']}/access/update", grants)

    async def shared() -> bool:
        return model in {listed["id"] for listed in (await carol.ask("GET", "/api/models"))["data"]}

    await until(shared)
    assert await sources_of(carol, LIGHT) == ["lights.md, Lights"]

    (file,) = (await admin.ask("GET", f"/api/v1/knowledge/{made['id']}/files"))["items"]
    await admin.ask("POST", f"/api/v1/knowledge/{made['id']}/file/remove", {"file_id": file["id"]})

    async def empty() -> bool:
        return not (await house.knowledge_bases())["Harbour · Open WebUI"]["documents"]

    await until(empty)
    assert await sources_of(carol, LIGHT) == []


async def test_sync_brings_up_to_date_what_was_missed(house: House) -> None:
    admin, valves = house.openwebui.admin, "/api/v1/functions/id/pincite_files/valves"
    set_before = await admin.ask("GET", valves)
    try:
        await admin.ask("POST", f"{valves}/update", set_before | {"attachments": False, "collections": ""})
        made = await admin.ask("POST", "/api/v1/knowledge/create", {"name": "Beacons", "description": "Lights"})
        collected, attached = await upload(admin, "lights.md", LIGHTS), await upload(admin, "berths.md", BERTHS)
        await admin.ask("POST", f"/api/v1/knowledge/{made['id']}/file/add", {"file_id": collected})
        printed = await house.openwebui_command("sync")
        assert "Beacons: lights.md: indexed" in printed
        assert f"attachments of {admin.email}: {attached}/berths.md: indexed" in printed
        assert "made the model Pincite: Beacons · Open WebUI" in printed
        assert await sources_of(admin, LIGHT) == ["lights.md, Lights"]
        assert await sources_of(admin, BERTH) == ["berths.md, Berths"]
        for file in (collected, attached):
            await admin.ask("DELETE", f"/api/v1/files/{file}")
        await admin.ask("DELETE", f"/api/v1/knowledge/{made['id']}/delete")
        printed = await house.openwebui_command("sync")
        assert "removed, as there are none any more" in printed
        assert "nobody may read it any more" in printed
        assert await sources_of(admin, BERTH) == []
    finally:
        await admin.ask("POST", f"{valves}/update", set_before)


async def test_a_new_knowledge_base_is_a_model_for_its_readers_without_another_command(house: House) -> None:
    erin = await house.openwebui.add_user("Erin")
    paper = house.folder / "tides.md"
    paper.write_text("# Tides\n\nHigh water at Gull Rock is at a quarter past nine.\n")
    await house.command("add", "tides", str(paper))
    listed = {model["name"]: model for model in (await erin.ask("GET", "/api/models"))["data"]}
    asked = {"messages": [{"role": "user", "content": "When is high water at Gull Rock?"}], "stream": False}
    answer = await erin.ask("POST", "/api/chat/completions", asked | {"model": listed["Pincite: tides"]["id"]})
    assert [source["source"]["name"] for source in answer["sources"]] == ["tides.md, Tides"]
    await house.command("set", "tides", "readers=group:board")
    assert "Pincite: tides" not in {model["name"] for model in (await erin.ask("GET", "/api/models"))["data"]}
