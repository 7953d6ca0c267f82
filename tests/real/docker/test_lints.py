"""The Dockerfile and the compose files are what their tools call sound."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
# All that compose.yaml refuses to start without; docker/make-env makes them.
MADE = (
    *("PINCITE_ADMIN_KEY", "PINCITE_BACKEND_KEY", "WEBUI_SECRET_KEY"),
    *("WEBUI_ADMIN_EMAIL", "WEBUI_ADMIN_PASSWORD", "CATALOG_PASSWORD"),
)
SECRETS = dict.fromkeys((*MADE, "OPENWEBUI_NETWORK"), "a-secret-of-the-tests")
FILES = sorted(path.name for path in (ROOT / "docker").glob("compose*.yaml"))


def lint(program: str, *arguments: str, **variables: str) -> str:
    folder = os.environ.get("PINCITE_TEST_DOCKER_LINTERS")
    if folder is None:
        pytest.fail("there are no linters; run these tests with scripts/test-docker")
    ran = subprocess.run(
        [f"{folder}/bin/{program}", *arguments],
        cwd=ROOT / "docker",
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    lint("hadolint", "Dockerfile")


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
@pytest.mark.parametrize("override", [None, *FILES[1:]])
def test_compose_takes_every_profile_with_every_override(profile: str, override: str | None) -> None:
    files = ["--file", "compose.yaml", *(("--file", override) if override else ())]
    lint("docker-compose", *files, "--profile", profile, "config", "--quiet", **SECRETS)


def services(profile: str, *overrides: str, **variables: str) -> dict[str, Any]:
    files = [word for name in ("compose.yaml", *overrides) for word in ("--file", name)]
    config = lint("docker-compose", *files, "--profile", profile, "config", "--format", "json", **SECRETS, **variables)
    found: dict[str, Any] = json.loads(config)["services"]
    return found


@pytest.mark.parametrize("override", [None, *FILES[1:]])
def test_every_service_is_watched_and_reached_from_this_machine_alone(override: str | None) -> None:
    found = services("*", *([override] if override else []))
    assert {"pincite", "pincite-gpu", "vllm", "connect"} <= found.keys()
    for name, service in found.items():
        # What has installed the functions and ended is waited for by nobody.
        assert service["healthcheck"].get("test") or name == "connect", name
        assert {port["host_ip"] for port in service.get("ports", [])} <= {"127.0.0.1"}, name
        waited = {needed["condition"] for needed in service.get("depends_on", {}).values()}
        assert waited <= {"service_healthy"}, name


def test_one_variable_puts_the_model_on_a_second_card() -> None:
    for replicas in (1, 2):
        vllm = services("gpu", VLLM_REPLICAS=str(replicas))["vllm"]
        assert vllm["command"][-2:] == ["--data-parallel-size", str(replicas)]
        assert vllm["deploy"]["resources"]["reservations"]["devices"][0]["count"] == replicas


def test_compose_refuses_to_start_without_secrets() -> None:
    with pytest.raises(AssertionError, match="run docker/make-env first"):
        lint("docker-compose", "--file", "compose.yaml", "--env-file", "/dev/null", "--profile", "cpu", "config", "-q")


@pytest.mark.parametrize("override", [None, *FILES[1:]])
def test_compose_lint_finds_nothing_grave(override: str | None, tmp_path: Path) -> None:
    files = ["--file", "compose.yaml", *(("--file", override) if override else ())]
    merged = lint("docker-compose", *files, "--profile", "*", "config", "--no-interpolate", **SECRETS)
    (tmp_path / "merged.yaml").write_text(merged, "utf-8")
    lint("compose-lint", str(tmp_path / "merged.yaml"))


def test_the_env_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    made = tmp_path / "make-env"
    made.write_text((ROOT / "docker" / "make-env").read_text("utf-8"), "utf-8")
    made.chmod(0o755)
    for _ in range(2):
        subprocess.run([made], check=True, capture_output=True)
    lines = (tmp_path / ".env").read_text("utf-8").splitlines()
    values = dict(line.split("=", 1) for line in lines)
    assert len(values) == len(lines)
    assert set(MADE) <= values.keys()
    secrets = [value for name, value in values.items() if name != "WEBUI_ADMIN_EMAIL"]
    assert len(set(secrets)) == len(secrets)
    assert min(map(len, secrets)) >= 32
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
