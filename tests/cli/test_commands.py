"""Every command on a data folder that it opens itself."""

import json
from pathlib import Path

import pytest

from pincite.cli import run
from tests.cli.conftest import LEAVE, PUMP, Pincite


def test_add_prints_a_json_line_a_document_and_search_finds_it(pincite_command: Pincite, folder: Path) -> None:
    added = pincite_command("add", "manuals", folder, "--json")
    assert added.code == 0
    results = {line["path"]: line for line in added.lines}
    assert set(results) == {"leave.md", "pump.md"}
    assert set(results["leave.md"]) == {"path", "status", "document_id", "pages", "passages", "warnings", "error"}
    found = pincite_command("search", "manuals", LEAVE, "-k", "1", "--json")
    [answer] = found.lines
    [passage] = answer["passages"]
    assert passage["document"] == {"id": results["leave.md"]["document_id"], "title": "Leave", "path": "leave.md"}
    assert LEAVE in passage["text"]
    assert passage["url"].startswith("http://127.0.0.1:7861/view/")


def test_a_failed_document_makes_the_exit_code_1_and_the_rest_goes_on(pincite_command: Pincite, folder: Path) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing that follows")
    added = pincite_command("add", "manuals", folder, folder / "missing.pdf", "--json")
    assert added.code == 1
    statuses = [(Path(line["path"]).name, line["status"]) for line in added.lines]
    assert sorted(statuses) == [
        ("broken.pdf", "failed"),
        ("leave.md", "indexed"),
        ("missing.pdf", "failed"),
        ("pump.md", "indexed"),
    ]


def test_add_says_in_words_what_became_of_each_document(pincite_command: Pincite, folder: Path) -> None:
    (folder / "empty.md").write_bytes(b"")
    added = pincite_command("add", "manuals", folder)
    assert "+ leave.md: indexed, 1 passages" in added.out
    assert "x empty.md: " in added.out
    assert added.out.splitlines()[-1] == "2 indexed, 1 failed"
    assert "2 unchanged, 1 failed" in pincite_command("add", "manuals", folder).out


def test_search_shows_title_section_and_passage(pincite_command: Pincite, folder: Path) -> None:
    pincite_command("add", "manuals", folder)
    found = pincite_command("search", "manuals", "parental leave thirty days")
    assert found.code == 0
    assert "1. Leave" in found.out
    assert LEAVE in found.out
    assert "http" not in found.out  # no server runs that would answer the link


def test_ask_quotes_the_sentence_that_answers_and_says_where_it_stands(pincite_command: Pincite, folder: Path) -> None:
    pincite_command("add", "manuals", folder)
    [answer] = pincite_command("ask", "manuals", PUMP, "--json").lines
    assert answer["kind"] == "extractive"
    assert PUMP in answer["text"]
    [cited] = [citation for citation in answer["context"] if citation["cited_by"]]
    assert cited["document"]["path"] == "pump.md"
    shown = pincite_command("ask", "manuals", PUMP)
    assert PUMP in shown.out
    assert "[1] Pump" in shown.out
    refused = pincite_command("ask", "manuals", "谁赢得了世界杯？")
    assert (refused.code, "文档中似乎没有" in refused.out) == (0, True)


def test_neither_a_document_nor_its_name_sends_commands_to_the_terminal(pincite_command: Pincite, folder: Path) -> None:
    (folder / "evil\x1b[2J.md").write_text(f"# Evil \x1b[31m\n\n{LEAVE} \x1b]0;owned\x07 \x1b[2J done\n")
    said = [
        pincite_command("add", "manuals", folder),
        pincite_command("search", "manuals", f"{LEAVE} owned done"),
        pincite_command("list", "manuals"),
        pincite_command("doctor", "manuals"),
        pincite_command("list", "none\x1b[2J"),
    ]
    assert "done" in said[1].out
    assert "evil" in said[0].out
    for ran in said:
        assert "\x1b" not in ran.out + ran.err
        assert "\x07" not in ran.out


def test_a_file_of_questions_gives_a_line_each_with_what_came_along(
    pincite_command: Pincite, folder: Path, tmp_path: Path
) -> None:
    pincite_command("add", "manuals", folder)
    questions = tmp_path / "questions.jsonl"
    questions.write_text(
        json.dumps({"question": LEAVE, "id": 7, "lang": "en"}) + "\n\n" + json.dumps({"question": " ", "id": 8}) + "\n"
    )
    asked = pincite_command("search", "manuals", "--questions", questions, "-k", "1")
    assert asked.code == 1
    good, bad = asked.lines
    assert (good["id"], good["lang"], good["question"]) == (7, "en", LEAVE)
    assert good["passages"][0]["document"]["path"] == "leave.md"
    assert (bad["id"], bad["passages"], bad["error"]["code"]) == (8, [], "empty_question")
    assert "1 of 2" in asked.err


def test_a_wrong_line_of_a_file_of_questions_is_named(pincite_command: Pincite, folder: Path, tmp_path: Path) -> None:
    pincite_command("add", "manuals", folder)
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"question": "a"}\n{"query": "b"}\n')
    asked = pincite_command("search", "manuals", "--questions", questions)
    assert asked.code == 2
    assert "line 2" in asked.err
    assert asked.out == ""


def test_eval_counts_how_often_the_right_document_is_found(
    pincite_command: Pincite, folder: Path, tmp_path: Path
) -> None:
    pincite_command("add", "manuals", folder)
    questions = tmp_path / "questions.jsonl"
    lines = [{"question": LEAVE, "document": "leave.md"}, {"question": LEAVE, "document": "other.md"}]
    questions.write_text("\n".join(map(json.dumps, lines)))
    figures = pincite_command("eval", "manuals", questions, "--json").lines[0]
    assert figures == {"questions": 2, "first": 0.5, "within_5": 0.5, "mean_reciprocal_rank": 0.5}
    said = pincite_command("eval", "manuals", questions).out
    assert f"not found: {LEAVE}" in said


def test_list_shows_knowledge_bases_and_documents(pincite_command: Pincite, folder: Path) -> None:
    assert "Nothing yet" in pincite_command("list").out
    pincite_command("add", "manuals", folder)
    [kb] = pincite_command("list", "--json").lines
    assert (kb["name"], kb["documents"], kb["passages"]) == ("manuals", 2, 2)
    assert [line["path"] for line in pincite_command("list", "manuals", "--json").lines] == ["leave.md", "pump.md"]
    assert "leave.md" in pincite_command("list", kb["id"]).out


def test_remove_takes_one_document_or_all(pincite_command: Pincite, folder: Path) -> None:
    pincite_command("add", "manuals", folder)
    assert pincite_command("remove", "manuals", "pump.md").code == 0
    assert [line["path"] for line in pincite_command("list", "manuals", "--json").lines] == ["leave.md"]
    gone = pincite_command("remove", "manuals", "pump.md")
    assert (gone.code, "pump.md" in gone.err) == (1, True)
    assert pincite_command("remove", "manuals").code == 2
    assert pincite_command("remove", "manuals", "--all").code == 0
    assert pincite_command("list", "--json").lines == []


def test_set_changes_a_setting_and_refuses_a_wrong_one(pincite_command: Pincite, folder: Path) -> None:
    pincite_command("add", "manuals", folder)
    assert "top_k = 8" in pincite_command("set", "manuals", "top_k=8", "chunk_tokens=256").out
    assert pincite_command("list", "--json").lines[0]["settings"]["top_k"] == 8
    assert pincite_command("search", "manuals", LEAVE, "--json").lines[0]["passages"]
    wrong = pincite_command("set", "manuals", "top_k=0")
    assert (wrong.code, "top_k" in wrong.err) == (2, True)
    assert pincite_command("set", "manuals", "top_k").code == 2


def test_doctor_counts_pages_and_gives_reasons(pincite_command: Pincite, folder: Path) -> None:
    import pymupdf

    document = pymupdf.open()
    document.new_page().insert_text((72, 72), LEAVE)
    document.new_page().draw_rect(pymupdf.Rect(72, 72, 300, 300), fill=(0.5, 0.5, 0.5))
    document.save(folder / "scan.pdf")
    document.close()
    pincite_command("add", "manuals", folder)
    healthy = pincite_command("doctor", "manuals")
    assert healthy.code == 0
    assert "scan.pdf: partial, 1 pages with text, 1 without, 1 passages" in healthy.out
    assert "page 2 has no text" in healthy.out
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing that follows")
    pincite_command("add", "manuals", folder)
    broken = pincite_command("doctor", "--json")
    assert broken.code == 1
    finding, parsers = broken.lines
    assert set(parsers["parsers"]) == {"network", "reading", "writing", "programs"}
    assert finding["indexed_passages"] == finding["passages"] == 3
    by_path = {found["path"]: found for found in finding["documents"]}
    assert by_path["broken.pdf"]["status"] == "failed"
    assert by_path["broken.pdf"]["reasons"]


def test_keys_are_made_listed_and_taken_back(pincite_command: Pincite, folder: Path) -> None:
    pincite_command("add", "manuals", folder)
    made = pincite_command("keys", "add", "bob", "--scope", "read", "--scope", "write", "--kb", "manuals")
    assert made.code == 0
    assert made.out.startswith("pc_")
    [line] = pincite_command("keys", "list").out.splitlines()
    assert "bob  read write  manuals" in line
    assert made.out.strip() not in line
    assert pincite_command("keys", "remove", line.split()[0]).code == 0
    assert pincite_command("keys", "list").out == ""
    assert pincite_command("keys", "remove", "key_none").code == 1
    assert pincite_command("keys", "add", "bob", "--kb", "none").code == 1
    assert pincite_command("keys", "add", "bob", "--scope", "everything").code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["search", "none", "question"], 1, "“none”"),
        (["list", "none"], 1, "“none”"),
        (["doctor", "none"], 1, "“none”"),
        (["remove", "none", "--all"], 1, "“none”"),
        (["search", "manuals", ""], 2, "empty"),
        (["search", "manuals", "a" * 100_000], 2, "100,000"),
        (["search", "manuals", "question", "-k", "0"], 2, "k is 0"),
        (["search", "manuals", "question", "-k", "101"], 2, "k is 101"),
        (["search", "manuals", "question", "-k", "many"], 2, "-k"),
        (["search", "manuals"], 2, "QUESTION"),
        (["search"], 2, "KB"),
        (["add", "manuals"], 2, "PATH_OR_URL"),
        (["add", "a/b", "."], 2, "name"),
        (["frobnicate"], 2, "frobnicate"),
        (["list", "--frob"], 2, "--frob"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    pincite_command: Pincite, folder: Path, arguments: list[str], code: int, said: str
) -> None:
    pincite_command("add", "manuals", folder / "pump.md")
    ran = pincite_command(*arguments)
    assert ran.code == code
    assert ran.out == ""
    assert ran.err.startswith("pincite: ")
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_settings_that_contradict_each_other_stop_every_command(
    pincite_command: Pincite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINCITE_PORT", "0")
    monkeypatch.setenv("PINCITE_PUBLIC_URL", "https://kb.example.com")
    ran = pincite_command("list")
    assert (ran.code, ran.err.startswith("pincite: PINCITE_PORT=0 contradicts")) == (2, True)


def test_help_and_version_need_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert "doctor" in capsys.readouterr().out
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("pincite")
    assert run([]) == 2


def test_the_reference_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["docs", "cli"]) == 0
    page = capsys.readouterr().out
    for command in ("serve", "mcp", "add", "search", "list", "set", "remove", "doctor", "eval", "keys add"):
        assert f"## pincite {command}\n" in page
    assert run(["docs", "settings"]) == 0
    assert "PINCITE_DATA" in capsys.readouterr().out
