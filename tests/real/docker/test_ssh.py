"""A repository that is reached by ssh alone, with the commands of docs/deploy.md, typed literally."""

import json
import re
import shlex
import subprocess
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.real.docker.conftest import ALONE, BASE
from tests.real.docker.engine import ROOT, Container, docker, removed

HOST = f"{ALONE}-git-host"
REPOSITORY = f"""
FROM {BASE}
RUN apt-get update && apt-get install -y --no-install-recommends git openssh-server && install -d /run/sshd \
    && useradd --create-home --shell /bin/sh git
USER git
WORKDIR /home/git
RUN git init -q tree && cd tree && echo "The teal valve is turned five times." > valve.md && git add . \
    && git -c user.name=a -c user.email=a@example.com commit -qm a && git clone -q --bare . ../manuals.git
USER root
CMD ["/usr/sbin/sshd", "-D", "-e"]
"""
AUTHORIZE = "mkdir -p .ssh && cat > .ssh/authorized_keys"
OTHER_HOST_KEY = "echo git.example.com $(cut -d ' ' -f 1,2 /data/.ssh/id_ed25519.pub) > /data/.ssh/known_hosts"
LISTENS_S = 120


def documented() -> list[list[str]]:
    """Return the words of the commands for repositories by ssh, without the name of the container."""
    lines = re.findall(r"^docker exec pincite (.*git\.example\.com.*|.*/\.ssh/.*)$", deploy(), re.MULTILINE)
    return [shlex.split(line.split("   ")[0]) for line in lines]


def deploy() -> str:
    return (ROOT / "docs" / "deploy.md").read_text("utf-8")


@pytest.fixture
def git_host(images: dict[str, float]) -> Iterator[tuple[str, Container]]:
    """A network, and in it git.example.com with one repository, which so far lets nobody in."""
    name = f"pincite-test-{uuid.uuid4().hex[:8]}"
    subprocess.run(["docker", "build", "-t", HOST, "-"], input=REPOSITORY, text=True, check=True, capture_output=True)
    try:
        docker("network", "create", name)
        docker(
            "run", "--detach", "--network", name, "--network-alias", "git.example.com", "--name", f"{name}-git", HOST
        )
        host = Container(f"{name}-git")
        deadline = time.monotonic() + LISTENS_S
        while "Server listening" not in (said := host.everything()):
            assert time.monotonic() < deadline, said
            time.sleep(0.5)  # it tells only in its log
        yield name, host
    finally:
        removed("container", f"{name}-git")
        removed("network", name)


@pytest.fixture
def pincite(git_host: tuple[str, Container]) -> Iterator[Container]:
    network = git_host[0]
    name = f"{network}-pincite"
    closed = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")
    try:
        docker("run", "--detach", *closed, "--network", network, "--volume", f"{name}:/data", "--name", name, ALONE)
        container = Container(name)
        container.wait_until_healthy()
        yield container
    finally:
        removed("container", name)
        removed("volume", name)


def test_a_repository_is_read_by_ssh_once_its_host_is_known_and_lets_pincite_in(
    git_host: tuple[str, Container], pincite: Container
) -> None:
    make_key, show_key, know_host, show_fingerprints, add = documented()
    host = git_host[1]
    assert "host's SSH key is unknown; put it into known_hosts in ~/.ssh" in pincite.fails(*add)
    pincite.run(*make_key)
    pincite.run(*know_host)
    fingerprint = host.run("ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    assert fingerprint in pincite.run(*show_fingerprints)
    assert "access was denied; let it be read with the SSH key" in pincite.fails(*add)
    authorize = ["docker", "exec", "--interactive", "--user", "git", host.name, "sh", "-c", AUTHORIZE]
    subprocess.run(authorize, input=pincite.run(*show_key), text=True, check=True)
    pincite.run(*add)
    told = json.loads(pincite.run("pincite", "search", add[2], "How often is the teal valve turned?", "--json"))
    assert told["passages"][0]["document"]["path"] == "valve.md"
    pincite.run("sh", "-c", OTHER_HOST_KEY)
    assert "its host shows another SSH key than before" in pincite.fails(*add)
