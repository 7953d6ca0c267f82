"""The official conformance suite against the whole server, for both revisions of the protocol."""

import sys
from pathlib import Path

import pytest

from tests.real.mcp.conftest import NodeTools

NO_REQUESTS_TO_CLIENTS = "Pincite asks nothing of a client's user or model while it answers"
NO_LOGGING = "protocol logging is deprecated, and Pincite logs for its operator only"
NO_SUBSCRIPTIONS = "documents are read when they are asked for; Pincite tells nobody of changes"
PLAIN_SCHEMAS = "Pincite publishes its schemas without definitions and conditions, to cost few tokens"
STATELESS = "a stateless server has no session whose streams could be resumed or counted"

# Scenarios that test what this server does not do, each with the reason; the suite fails if one of them passes.
INAPPLICABLE = {
    "2025-11-25": {
        "logging-set-level": NO_LOGGING,
        "tools-call-with-logging": NO_LOGGING,
        "tools-call-sampling": NO_REQUESTS_TO_CLIENTS,
        "tools-call-elicitation": NO_REQUESTS_TO_CLIENTS,
        "elicitation-sep1034-defaults": NO_REQUESTS_TO_CLIENTS,
        "elicitation-sep1330-enums": NO_REQUESTS_TO_CLIENTS,
        "resources-subscribe": NO_SUBSCRIPTIONS,
        "resources-unsubscribe": NO_SUBSCRIPTIONS,
        "json-schema-2020-12": PLAIN_SCHEMAS,
        "server-sse-polling": STATELESS,
        "server-sse-multiple-streams": STATELESS,
    },
    "2026-07-28": {
        "json-schema-2020-12": PLAIN_SCHEMAS,
        "input-required-result-basic-elicitation": NO_REQUESTS_TO_CLIENTS,
        "input-required-result-basic-sampling": NO_REQUESTS_TO_CLIENTS,
        "input-required-result-basic-list-roots": NO_REQUESTS_TO_CLIENTS,
        "input-required-result-request-state": NO_REQUESTS_TO_CLIENTS,
        "input-required-result-multiple-input-requests": NO_REQUESTS_TO_CLIENTS,
        "input-required-result-multi-round": NO_REQUESTS_TO_CLIENTS,
        "input-required-result-missing-input-response": NO_REQUESTS_TO_CLIENTS,
        "input-required-result-validate-input": NO_REQUESTS_TO_CLIENTS,
        "input-required-result-non-tool-request": NO_REQUESTS_TO_CLIENTS,
        "input-required-result-result-type": NO_REQUESTS_TO_CLIENTS,
        "input-required-result-tampered-state": NO_REQUESTS_TO_CLIENTS,
        "input-required-result-capability-check": NO_REQUESTS_TO_CLIENTS,
    },
}


@pytest.mark.parametrize("revision", INAPPLICABLE)
def test_every_scenario_that_applies_passes(
    node_tools: NodeTools, mcp_url: str, revision: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = tmp_path / "expected.yml"
    expected.write_text("server:\n" + "".join(f"  - {name}\n" for name in INAPPLICABLE[revision]))
    options = ["--suite", "all", "--spec-version", revision, "--expected-failures", str(expected)]
    ran = node_tools.conformance("server", "--url", mcp_url, *options, "--output-dir", str(tmp_path))
    summary = ran.stdout[ran.stdout.find("=== SUMMARY ===") :]
    reasons = "".join(f"  {name}: {reason}\n" for name, reason in INAPPLICABLE[revision].items())
    with capsys.disabled():
        sys.stdout.write(f"\n{revision}\n{summary}\nDo not apply:\n{reasons}")
    assert ran.returncode == 0, summary
    assert "tools-list: " in summary
