"""The bundle as the tools of its format read it."""

import subprocess
import sys
from pathlib import Path

from tests.real.mcp.conftest import ROOT, NodeTools

MCPB = "@anthropic-ai/mcpb/dist/cli/cli.js"


def test_the_bundle_is_valid_and_unpacks(node_tools: NodeTools, tmp_path: Path) -> None:
    bundle, unpacked = tmp_path / "pincite.mcpb", tmp_path / "unpacked"
    subprocess.run([sys.executable, ROOT / "scripts" / "steps" / "mcp_bundle.py", bundle], check=True)
    ran = node_tools.run(MCPB, "unpack", str(bundle), str(unpacked))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (unpacked / "launch.py").exists()
    ran = node_tools.run(MCPB, "validate", str(unpacked / "manifest.json"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
