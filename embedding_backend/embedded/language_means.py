"""Compute `languages.npz`: the mean vector of each language in e5, from the message catalogues of the framework Django.

    pip download --no-deps django && unzip django-*.whl -d django   # BSD-3-Clause
    python -m embedding_backend.embedded.language_means django

The catalogues hold the same few hundred sentences in some sixty languages, translated by people. Only means are kept;
no message is. The file in the repository was made from Django 6.1.3.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from embedding_backend.embedded.e5 import E5, PASSAGE_PREFIX, QUERY_PREFIX
from embedding_backend.embedded.languages import CONSTANTS
from embedding_backend.embedder import Vectors

# The catalogues' names of the languages that the language identifier knows by another name.
_NAMES = {"zh_Hans": "zh", "zh_Hant": "zh", "nb": "no"}
# A language needs this many of the common messages for its mean to be worth having.
_FEWEST = 120
_SHORTEST = 20
_PLACEHOLDER = re.compile(r"%\(?\w*\)?[sd]|\{\w*\}|\n")


def main(django: Path) -> None:
    """Write the constants next to this module."""
    catalogues = _catalogues(django)
    keys = [key for key in catalogues["fr"] if len(key) >= _SHORTEST]
    catalogues["en"] = {key: key for key in keys}
    known = LanguageIdentifier.from_model_file(MODEL_FILE).labels
    model = E5(threads=2)
    sums: dict[str, list[list[Vectors]]] = defaultdict(lambda: [[], []])
    for name, messages in sorted(catalogues.items()):
        texts = [_PLACEHOLDER.sub(" ", messages[key]) for key in keys if key in messages]
        language = _NAMES.get(name, name)
        if language in known and len(texts) >= _FEWEST:
            for role, prefix in enumerate((QUERY_PREFIX, PASSAGE_PREFIX)):
                sums[language][role].append(model.encode(texts, prefix).mean(axis=0))
            print(f"{name}: {len(texts)} messages", file=sys.stderr)  # noqa: T201
    query, passage = (
        np.stack([np.mean(roles[role], axis=0) for roles in sums.values()]).astype(np.float16) for role in (0, 1)
    )
    np.savez(CONSTANTS, names=np.array(list(sums)), query=query, passage=passage)


def _catalogues(django: Path) -> dict[str, dict[str, str]]:
    catalogues: dict[str, dict[str, str]] = defaultdict(dict)
    for path in sorted(django.rglob("locale/*/LC_MESSAGES/django*.po")):
        catalogues[path.parts[-3]].update(_messages(path))
    return catalogues


def _messages(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the translated messages of a .po file; plurals are left out."""
    entry: dict[str, str] = {}
    field = ""
    for line in [*path.read_text(encoding="utf-8").splitlines(), ""]:
        if not line:
            if entry.get("msgid") and entry.get("msgstr") and "msgid_plural" not in entry:
                yield entry["msgid"], entry["msgstr"]
            entry = {}
        elif line.startswith('"'):
            entry[field] += ast.literal_eval(line)
        elif not line.startswith("#"):
            field, _, value = line.partition(" ")
            entry[field] = ast.literal_eval(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
