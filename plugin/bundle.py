"""Makes the single files that Open WebUI loads from the modules of `plugin.function`.

Open WebUI runs a function from one text. A file holds the modules it needs, in the order of their imports, without the
imports between them; `scripts/generate` writes the files, and `scripts/check` proves that they are up to date.
"""

import ast
from pathlib import Path

FOLDER = Path(__file__).parent
PACKAGE = "plugin.function"
VERSION = "0.1.0"
OLDEST_OPEN_WEBUI = "0.12.0"

FRONTMATTER = '''"""
title: {title}
author: Pincite
description: {description}
version: {version}
required_open_webui_version: {open_webui}
requirements:
license: AGPL-3.0-or-later
"""

# Made by `scripts/generate` from plugin/function/; change the modules there instead.
'''

# Of each file: its module, its title and what it is for.
FUNCTIONS = {
    "pincite_pipe.py": ("pipe", "Pincite", "Knowledge bases as models: every answer opens the exact page it cites."),
    "pincite_filter.py": (
        "filter",
        "Pincite evidence",
        "Evidence for any model: a switch in the chat, with citations.",
    ),
    "pincite_files.py": (
        "event",
        "Pincite files",
        "Files that people attach, or keep in Knowledge, become part of the index.",
    ),
}
# The Pipelines server loads this one from its own folder.
FILES = FUNCTIONS | {
    "pincite_pipeline.py": ("pipeline", "Pincite", "Knowledge bases as models, for the Pipelines server."),
}


def bundled(name: str) -> str:
    """Return the text of one of the `FILES`."""
    module, title, description = FILES[name]
    modules: list[str] = []
    _collect(module, modules)
    imports: set[str] = set()
    bodies = []
    for each in modules:
        bodies.append(_body(each, imports))
    head = FRONTMATTER.format(title=title, description=description, version=VERSION, open_webui=OLDEST_OPEN_WEBUI)
    return head + "\n" + "\n".join(sorted(imports)) + "\n" + "".join(bodies)


def _collect(module: str, found: list[str]) -> None:
    """Append a module behind those that it imports."""
    for node in ast.parse(_source(module)).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"{PACKAGE}."):
            _collect(node.module.removeprefix(f"{PACKAGE}."), found)
    if module not in found:
        found.append(module)


def _body(module: str, imports: set[str]) -> str:
    """Return a module's text without its imports, which are added to `imports`, one name each."""
    source = _source(module)
    lines = source.splitlines(keepends=True)
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        for number in range(node.lineno - 1, node.end_lineno or node.lineno):
            lines[number] = ""
        if isinstance(node, ast.Import):
            imports.update(f"import {alias.name}" for alias in node.names)
        elif not (node.module or "").startswith(PACKAGE):
            imports.update(f"from {node.module} import {alias.name}" for alias in node.names)
    docstring, _, rest = "".join(lines).partition('"""\n')
    first = docstring.strip().removeprefix('"""').splitlines()[0]
    return f"\n\n# {module}: {first[0].lower() + first[1:]}\n\n{rest.strip()}\n"


def _source(module: str) -> str:
    return (FOLDER / "function" / f"{module}.py").read_text("utf-8")
