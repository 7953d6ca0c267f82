"""The README's command: one container that answers at every door, and loses nothing however it ends."""

import json
import re
import time
from pathlib import Path

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.real.docker.conftest import HOUSE
from tests.real.docker.engine import House, docker

QUESTION = "How quickly do I have to report a stolen laptop?"
ANSWER = "within one hour of noticing"
CITED_PAGE = 12
LOCKED_OUT = "Open WebUI does not let"
JOB_S = 600


def password(house: House) -> str:
    return house.said(r"first password +(\S+)$")


def keys(house: House) -> list[str]:
    """The administrator's key of Pincite, and the embedding backend's."""
    return re.findall(r"API key +(\S+)$", house.container.log(), re.MULTILINE)


def answer_in_open_webui(house: House, token: str) -> None:
    answer = house.chat(QUESTION, token)
    assert ANSWER in answer["choices"][0]["message"]["content"]
    names = [metadata["name"] for source in answer["sources"] for metadata in source["metadata"]]
    assert f"handbook.pdf, p. {CITED_PAGE}" in names


@pytest.fixture(scope="module")
def token(house: House) -> str:
    """What the first administrator gets with the password that the log showed."""
    token = house.sign_in("admin@localhost", password(house))
    answer_in_open_webui(house, token)
    house.figures["from `docker run` to the first cited answer, s"] = time.monotonic() - house.started
    house.figures["memory of the house, idle, MB"] = house.container.memory_mb()
    return token


def test_the_log_tells_in_order_and_once_what_runs_and_how_to_get_in(house: House, token: str) -> None:
    said = [
        "Embedding backend: pincite-embedded-1, on the processor: no NVIDIA card",
        "The embedding backend is ready.",
        "Pincite is ready.",
        "Everything is ready.",
        "http://localhost:7860",
        "admin@localhost",
        password(house),
        "MCP http://localhost:7861/mcp",
        "http://localhost:8000/v1",
    ]
    log = house.container.log()
    places = [log.find(words) for words in said]
    assert places == sorted(places)
    assert [log.count(words) for words in said] == [1] * len(said)
    assert len(password(house)) == 32


def test_open_webui_shows_the_plugins_models(house: House, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    listed = httpx.get(f"{house.container.url(7860)}/api/models", headers=headers, timeout=60, trust_env=False).json()
    assert {"Pincite: samples", "Pincite: everything"} <= {model["name"] for model in listed["data"]}


def test_rest_cites_the_page_and_its_link_opens_it(house: House, token: str) -> None:
    asked = {"knowledge_base": "samples", "question": QUESTION, "k": 1}
    with httpx.Client(base_url=house.container.url(7861), timeout=60, trust_env=False) as http:
        found = http.post("/api/search", json=asked, headers={"Authorization": f"Bearer {keys(house)[0]}"})
        (passage,) = found.raise_for_status().json()["passages"]
        assert (passage["page"], ANSWER in passage["text"]) == (CITED_PAGE, True)
        link = httpx.URL(passage["url"])
        assert (link.host, link.port) == ("localhost", 7861)
        page = http.get(link.raw_path.decode())
        assert page.status_code == 200
        assert "Tarnwell Instruments" in page.text


@pytest.mark.anyio
async def test_an_agent_gets_the_same_page_over_mcp(house: House, token: str) -> None:
    mcp = f"{house.container.url(7861)}/mcp"
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {keys(house)[0]}"}, timeout=60) as http,
        Client(streamable_http_client(mcp, http_client=http)) as client,
    ):
        told = await client.call_tool("search", {"query": QUESTION})
    assert told.structured_content is not None
    first = told.structured_content["results"][0]
    assert (first["page"], ANSWER in json.dumps(first)) == (CITED_PAGE, True)


def test_the_embedding_backend_asks_for_its_key_and_embeds(house: House, token: str) -> None:
    body = {"model": "pincite-embedded-1", "input": ["a gauge"]}
    url = f"{house.container.url(8000)}/v1/embeddings"
    assert httpx.post(url, json=body, trust_env=False).status_code == 401
    own = {"Authorization": f"Bearer {keys(house)[1]}"}
    vector = httpx.post(url, json=body, headers=own, timeout=60, trust_env=False).json()["data"][0]["embedding"]
    assert sum(value * value for value in vector) == pytest.approx(1, abs=1e-3)


def test_after_a_restart_everything_is_as_it_was_and_no_secret_is_shown(house: House, token: str) -> None:
    shown = password(house)
    house.container.start_again("restart")
    assert shown not in house.container.log()
    assert LOCKED_OUT not in house.container.log()
    assert "in /data/installation/first-admin-password" in house.container.log()
    answer_in_open_webui(house, house.sign_in("admin@localhost", shown))
    house.container.since = ""


def test_a_new_knowledge_base_shows_in_open_webui_by_itself(house: House, token: str, notes: Path) -> None:
    """Also after a restart, when the account that installs is the one of before."""
    docker("cp", str(notes / "note-007.md"), f"{house.container.name}:/data/note.md")
    house.container.run("pincite", "add", "gauges", "/data/note.md")
    headers = {"Authorization": f"Bearer {token}"}
    deadline = time.monotonic() + JOB_S
    with httpx.Client(base_url=house.container.url(7860), headers=headers, timeout=60, trust_env=False) as http:
        while "Pincite: gauges" not in {model["name"] for model in http.get("/api/models").json()["data"]}:
            assert time.monotonic() < deadline, house.container.everything()
            time.sleep(1)  # another program is asked, which tells nobody


def test_a_container_killed_during_ingestion_goes_on_and_loses_nothing(house: House, token: str, notes: Path) -> None:
    container = house.container
    docker("cp", str(notes), f"{container.name}:/data/notes")
    docker("exec", "--detach", container.name, "pincite", "add", "notes", "/data/notes")
    wait_for_documents(house, "notes", 1)
    docker("kill", container.name)
    container.start_again()
    assert container.search(QUESTION)["page"] == CITED_PAGE
    count = len(list(notes.iterdir()))
    wait_for_documents(house, "notes", count)
    printed = container.run("pincite", "add", "notes", "/data/notes", "--json")
    assert [json.loads(line)["status"] for line in printed.splitlines()] == ["unchanged"] * count


def wait_for_documents(house: House, knowledge_base: str, count: int) -> None:
    deadline = time.monotonic() + JOB_S
    while True:
        listed = house.container.run("pincite", "list")
        found = re.search(rf"^ *{knowledge_base} +(\d+) ", listed, re.MULTILINE)
        if found and int(found[1]) >= count:
            return
        assert time.monotonic() < deadline, listed + house.container.everything()
        time.sleep(1)  # a job in another program is asked how far it is


def test_a_stop_is_clean_and_takes_less_than_docker_waits(house: House, token: str) -> None:
    started = time.monotonic()
    docker("stop", house.container.name)
    house.figures["`docker stop` of the house, s"] = time.monotonic() - started
    assert house.container.inspect()["State"]["ExitCode"] == 0
    assert house.container.log().rstrip().endswith("Stopped.")


def test_an_upgrade_without_network_on_a_read_only_disk_keeps_all(house: House, token: str) -> None:
    """A new container takes the volume over, as with a new image: nothing of the old one but the volume is left."""
    container = house.container
    container.since = ""
    shown = password(house)
    docker("rm", container.name)
    closed = ("--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")
    docker("run", "--detach", *closed, "--volume", f"{container.name}:/data", "--name", container.name, HOUSE)
    container.since = ""
    container.wait_until_ready()
    assert shown not in container.log()
    assert LOCKED_OUT not in container.log()
    assert container.search(QUESTION)["page"] == CITED_PAGE
    assert "gauges" in container.run("pincite", "list")
    container.run("python", "-c", SIGN_IN, "admin@localhost", shown)
    addresses = ("http://127.0.0.1:7860/health", "http://127.0.0.1:7861/readyz", "http://127.0.0.1:8000/health")
    container.run("python", "/opt/pincite/container/healthy.py", *addresses)


SIGN_IN = """
import httpx, sys
form = {"email": sys.argv[1], "password": sys.argv[2]}
httpx.post("http://127.0.0.1:7860/api/v1/auths/signin", json=form, timeout=60, trust_env=False).raise_for_status()
"""
