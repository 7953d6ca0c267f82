"""Write the bundle with which Claude Desktop installs the MCP server: a ZIP file, the same for the same source."""

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTENTS = ROOT / "mcp_server" / "bundle"
NAMES = ("manifest.json", "launch.py")
# The oldest moment a ZIP file can tell: the bundle does not depend on when it is made.
MADE = (1980, 1, 1, 0, 0, 0)


def write_bundle(path: Path) -> None:
    """Write the bundle to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as bundle:
        for name in NAMES:
            entry = zipfile.ZipInfo(name, MADE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            bundle.writestr(entry, (CONTENTS / name).read_bytes())
        licence = zipfile.ZipInfo("LICENSE", MADE)
        licence.compress_type = zipfile.ZIP_DEFLATED
        bundle.writestr(licence, (ROOT / "LICENSE").read_bytes())


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist" / "pincite.mcpb"
    write_bundle(target)
    print(f"Wrote {target}")
