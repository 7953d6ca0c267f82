"""The command line with a fake embedding model: `python -m tests.cli.fake_model COMMAND`."""

import pincite.assembly
from embedding_backend import Embedder
from pincite.settings import Settings
from tests.fakes import FakeEmbedder


def fake_model(settings: Settings) -> Embedder:
    """Stand in for the model that the settings ask for."""
    return FakeEmbedder()


if __name__ == "__main__":
    from pincite.cli import main

    pincite.assembly._embedded_model = fake_model
    main()
