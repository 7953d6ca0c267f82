"""How a document is cut and embedded."""

from pincite.document_indexing import measure
from tests.fakes import FakeEmbedder


def test_lengths_are_estimated_only_where_the_model_reads_far_more() -> None:
    wide, narrow = FakeEmbedder(max_tokens=1024), FakeEmbedder(max_tokens=600)
    assert measure(wide, 512) == wide.estimate_tokens
    assert measure(narrow, 512) == narrow.count_tokens
