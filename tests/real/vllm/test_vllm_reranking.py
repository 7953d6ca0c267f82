"""The client of rerankers against a real vLLM."""

from collections.abc import AsyncIterator

import numpy as np
import pytest
from pydantic import SecretStr

from embedding_backend import BackendFailure
from embedding_backend.hosted import HostedReranker, RerankerConfig
from tests.real.vllm.conftest import Servers
from tests.real.vllm.servers import KEY

pytestmark = pytest.mark.anyio

QUESTION = "How often is the oil of the pump changed?"
TEXTS = ["Change the oil every four hundred hours.", "Parental leave takes thirty days.", "保证金于合同到期后退还。"]


@pytest.fixture
async def reranker(servers: Servers) -> AsyncIterator[HostedReranker]:
    config = RerankerConfig(endpoints=(servers.reranker.url,), api_key=SecretStr(KEY))
    connected = await HostedReranker.connect(config)
    yield connected
    await connected.close()


async def test_the_scores_are_the_servers_in_the_order_of_the_texts(reranker: HostedReranker, servers: Servers) -> None:
    answer = await servers.reranker.post("/v1/rerank", key=KEY, query=QUESTION, documents=TEXTS)
    by_place = {item["index"]: item["relevance_score"] for item in answer.json()["results"]}
    scores = await reranker.rerank(QUESTION, TEXTS, timeout_s=60)
    np.testing.assert_allclose(scores, [by_place[place] for place in range(len(TEXTS))], atol=1e-5)
    assert len(set(scores.tolist())) == len(TEXTS)
    assert 0 <= scores.min() <= scores.max() <= 1


async def test_a_text_without_a_visible_character_scores_zero(reranker: HostedReranker) -> None:
    scores = await reranker.rerank(QUESTION, ["", TEXTS[0], " \n"], timeout_s=60)
    assert scores[0] == scores[2] == 0 < scores[1]


async def test_texts_that_it_cannot_read_whole_are_refused_with_advice(reranker: HostedReranker) -> None:
    with pytest.raises(BackendFailure, match="smaller passages or start it with a longer context"):
        await reranker.rerank(QUESTION, [TEXTS[0], "oil " * 1000], timeout_s=60)


async def test_a_wrong_key_is_told_and_not_shown(servers: Servers) -> None:
    config = RerankerConfig(endpoints=(servers.reranker.url,), api_key=SecretStr("a wrong key"))
    with pytest.raises(BackendFailure, match="refused the API key") as refused:
        await HostedReranker.connect(config)
    assert "a wrong key" not in str(refused.value)
