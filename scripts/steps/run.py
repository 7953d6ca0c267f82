"""Start Pincite on the embedded model with the bilingual samples, and say what to open and what to ask.

`--check` asks one question, shows the cited answer, opens its page, and stops: exit 0 when all of it worked.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from environment import ROOT, runtime, short

KNOWLEDGE_BASE = "samples"
# Not contract.zh.docx: it is the contract.zh.pdf once more, for trying the format.
SAMPLES = ("handbook.pdf", "contract.zh.pdf", "manual.md")
QUESTIONS = ("How quickly do I have to report a stolen laptop?", "乙方承担的违约金累计上限是多少？")
ANSWERS_WITHIN_S = 90
LOG = ROOT / os.environ.get("PINCITE_DATA", "data") / "server.log"


def main() -> int:
    """Return 0 after a clean stop, 1 when something failed and was named."""
    started = time.monotonic()
    check = "--check" in sys.argv[1:]
    if not shutil.which("git"):
        print("Pincite reads git repositories with git: on Debian or Ubuntu, apt install git", file=sys.stderr)
        return 1
    pincite = runtime() / "bin" / "pincite"
    host, port = os.environ.get("PINCITE_HOST", "127.0.0.1"), os.environ.get("PINCITE_PORT", "7861")
    address = f"http://{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{port}"
    with _server(pincite) as server:
        if not _answers(server, address):
            return _show_log()
        print("Indexing the samples …", flush=True)
        add = [str(pincite), "add", KNOWLEDGE_BASE, *(str(ROOT / "samples" / name) for name in SAMPLES)]
        if subprocess.run(add, cwd=ROOT, check=False).returncode:
            print("The samples could not be indexed; the lines above say why.", file=sys.stderr)
            return _show_log()
        if check:
            return _ask(pincite, started)
        _say_what_to_try(address, pincite)
        return server.wait()


@contextlib.contextmanager
def _server(pincite: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `pincite serve` for the time of the block; what it prints, such as the first key, goes to the terminal."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("w") as log, subprocess.Popen([pincite, "serve"], cwd=ROOT, stderr=log) as server:
        # Ctrl-C reaches the server as well, which ends by itself; a terminated script ends it.
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        try:
            yield server
        except KeyboardInterrupt:
            print("\nStopping …", flush=True)
        finally:
            server.terminate()
            try:
                server.wait(20)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                server.kill()


def _answers(server: "subprocess.Popen[bytes]", address: str) -> bool:
    """Wait until the server answers; its model goes on loading meanwhile."""
    waiting_since = time.monotonic()
    while server.poll() is None and time.monotonic() - waiting_since < ANSWERS_WITHIN_S:
        if _status(f"{address}/healthz") == 200:
            return True
        time.sleep(0.25)
    if server.poll() is None:
        print(f"The server did not answer within {ANSWERS_WITHIN_S} s.", file=sys.stderr)
    return False


def _show_log() -> int:
    print("The end of the server's log:", *LOG.read_text("utf-8").splitlines()[-10:], sep="\n  ", file=sys.stderr)
    return 1


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def _ask(pincite: Path, started: float) -> int:
    """Ask the questions, show the cited answers, open their pages."""
    failed = 0
    for question in QUESTIONS:
        answer = _search(pincite, question)
        if not answer["passages"]:
            print(f"{question}\n  nothing found: {answer.get('why')}", file=sys.stderr)
            failed += 1
            continue
        passage = answer["passages"][0]
        status = _status(passage["url"])
        failed += status != 200
        print(f"\n{question}\n  {passage['document']['title']}, page {passage.get('page', '–')}, {passage['section']}")
        print(f"  “{_best_sentence(passage)}”\n  {passage['url']}\n  the page answers {status}")
    print(f"\nFirst cited answer {time.monotonic() - started:.0f} s after the start.")
    print(f"check: {len(QUESTIONS) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _search(pincite: Path, question: str) -> dict[str, Any]:
    search = [str(pincite), "search", KNOWLEDGE_BASE, question, "-k", "1", "--json"]
    answer: dict[str, Any] = json.loads(subprocess.run(search, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    return answer


def _best_sentence(passage: dict[str, Any]) -> str:
    """Return the sentence that the search marked as the answer, or the beginning of the passage."""
    sentences = [mark for mark in passage["marks"] if mark["kind"] == "sentence"]
    text = passage["text"][sentences[0]["start"] : sentences[0]["end"]] if sentences else passage["text"][:200] + " …"
    return " ".join(text.split())


def _say_what_to_try(address: str, pincite: Path) -> None:
    passages = _search(pincite, QUESTIONS[0])["passages"]
    view = passages[0]["url"] if passages else f"{address}/view/…"
    command = short(pincite)
    print(f"""
Pincite is running on the knowledge base “{KNOWLEDGE_BASE}”; Ctrl-C stops it.

  REST and its description   {address}/api/openapi.json
  MCP for agents             {address}/mcp
  the server's log           {short(LOG)}

Ask it, in another terminal:

  {command} search {KNOWLEDGE_BASE} "{QUESTIONS[0]}"
  {command} search {KNOWLEDGE_BASE} "{QUESTIONS[1]}"
  {command} add my-documents PATH/TO/A/FOLDER

The page that answers the first question, marked:

  {view}
""")


if __name__ == "__main__":
    sys.exit(main())
