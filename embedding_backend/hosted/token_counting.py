"""How long a text is in the model's tokens: by its own tokenizer, here or on the server."""

import hashlib
import json
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import httpx
from tokenizers import Tokenizer

from embedding_backend.embedder import BackendFailure
from embedding_backend.hosted.config import ServerConfig
from embedding_backend.hosted.endpoint import FIRST_BACKOFF_S, PASSING, Endpoint, bearer, connection_problem, jittered
from embedding_backend.hosted.least_recent import LeastRecentCache
from embedding_backend.hosted.wire import encoded

# Texts whose length the server is asked for at once, lengths remembered (a digest and a number each), and rounds of the
# endpoints before it is given up (about three seconds).
_AT_ONCE = 4
_REMEMBERED = 100_000
_SHARES_REMEMBERED = 10_000
_ROUNDS = 6
# Texts are estimated in groups of at least and at most so many bytes. In between, a group ends behind a text whose
# checksum says so, one in a few: an edit then moves the groups beside it and none of those that follow.
_GROUP_BYTES = (8_000, 32_000)
_ENDS_ONE_IN = 8
_JSON = {"Content-Type": "application/json"}


class TokenCounter(Protocol):
    """Counts without special tokens; `is_local` says that it costs no request."""

    is_local: bool

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the length of each text, in the calling thread; raises BackendFailure."""
        ...

    def estimate(self, texts: Sequence[str]) -> list[int]:
        """Return about the length of each of texts that follow each other, together as long as they are."""
        ...

    def learn(self, texts: Sequence[str], tokens: int) -> None:
        """Take note that the server read so many tokens for all of these texts together."""
        ...

    def close(self) -> None:
        """Give back what the counter holds."""
        ...


class LocalTokenizer:
    """The model's `tokenizer.json`, which every model of the Hugging Face hub comes with."""

    is_local = True

    def __init__(self, path: Path) -> None:
        """Load the file; raises BackendFailure."""
        try:
            self._tokenizer = Tokenizer.from_str(path.read_text("utf-8"))
        except OSError as error:
            raise BackendFailure(f"the tokenizer {path} cannot be read: {error.strerror}") from error
        except Exception as error:  # the library raises bare exceptions
            raise BackendFailure(f"{path} is not a tokenizer.json of the tokenizers library") from error
        # The file may ask for both, and either would hide how long a text is.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the length of each text."""
        encodings = self._tokenizer.encode_batch_fast([clean(text) for text in texts], add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]

    def estimate(self, texts: Sequence[str]) -> list[int]:
        """Return the length of each text."""
        return self.count(texts)

    def learn(self, texts: Sequence[str], tokens: int) -> None:
        """Nothing is to be learned: this counts as well itself."""

    def close(self) -> None:
        """Nothing is held."""


class ServerTokenizer:
    """The server's own `/tokenize`, a request a text: short of a local tokenizer, the only count that is true."""

    is_local = False

    def __init__(self, config: ServerConfig, endpoints: Sequence[Endpoint], model: str) -> None:
        self._endpoints = endpoints
        self._model = model
        self._client = httpx.Client(
            headers=bearer(config.api_key),
            timeout=httpx.Timeout(config.request_timeout_s, connect=config.connect_timeout_s),
            limits=httpx.Limits(max_connections=_AT_ONCE, max_keepalive_connections=_AT_ONCE),
        )
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="tokenize")
        self._known: LeastRecentCache[bytes, int] = LeastRecentCache(_REMEMBERED)
        self._shares: LeastRecentCache[bytes, int] = LeastRecentCache(_SHARES_REMEMBERED)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the length of each text; what was counted lately is not asked for again."""
        return list(self._threads.map(self._length, texts))

    def estimate(self, texts: Sequence[str]) -> list[int]:
        """Return each text's share in what it was embedded with, or in what the texts around it count together."""
        estimates = [self._shares.get(_digest(text)) for text in texts]
        unknown = [place for place, share in enumerate(estimates) if share is None]
        groups = list(_grouped([texts[place] for place in unknown]))
        shares = [
            share
            for group, tokens in zip(groups, self.count(["\n".join(group) for group in groups]), strict=True)
            for share in _shared(tokens, group)
        ]
        for place, share in zip(unknown, shares, strict=True):
            estimates[place] = share
        return [estimate or 0 for estimate in estimates]

    def learn(self, texts: Sequence[str], tokens: int) -> None:
        """Remember each text's share."""
        for text, share in zip(texts, _shared(tokens, texts), strict=True):
            self._shares.put(_digest(text), share)

    def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _length(self, text: str) -> int:
        if not text:
            return 0
        sent = encoded({"model": self._model, "prompt": text, "add_special_tokens": False})
        key = hashlib.blake2b(sent, digest_size=16).digest()
        length = self._known.get(key)
        if length is None:
            length = self._asked(sent)
            self._known.put(key, length)
        return length

    def _asked(self, body: bytes) -> int:
        problem = ""
        for tries in range(_ROUNDS):
            for endpoint in sorted(self._endpoints, key=lambda endpoint: not endpoint.up):
                try:
                    response = self._client.post(f"{endpoint.address}/tokenize", content=body, headers=_JSON)
                except httpx.HTTPError as error:
                    problem = connection_problem(endpoint.name, error)
                    continue
                if response.status_code == httpx.codes.OK:
                    return _count(response, endpoint.name)
                problem = f"{endpoint.name} answered {response.status_code} to /tokenize"
                if response.status_code not in PASSING:
                    raise BackendFailure(
                        f"tokens cannot be counted: {problem}; where a server has no /tokenize, "
                        "name the model's tokenizer.json in the settings"
                    )
            time.sleep(jittered(FIRST_BACKOFF_S * 2**tries))
        raise BackendFailure(f"tokens cannot be counted: {problem}")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


def _grouped(texts: Sequence[str]) -> Iterator[list[str]]:
    fewest, most = _GROUP_BYTES
    group: list[str] = []
    size = 0
    for text in texts:
        told = text.encode("utf-8", "replace")
        if group and size + len(told) > most:
            yield group
            group, size = [], 0
        group.append(text)
        size += len(told)
        if size >= fewest and zlib.crc32(told) % _ENDS_ONE_IN == 0:
            yield group
            group, size = [], 0
    if group:
        yield group


def _shared(tokens: int, texts: Sequence[str]) -> Iterator[int]:
    """Share tokens out by the bytes of the texts, so that together they are as many."""
    sizes = [len(text.encode("utf-8", "replace")) for text in texts]
    whole = max(1, sum(sizes))
    given = passed = 0
    for size in sizes:
        passed += size
        share = round(tokens * passed / whole) - given
        given += share
        yield share


def _count(response: httpx.Response, name: str) -> int:
    try:
        count = json.loads(response.content)["count"]
    except (ValueError, KeyError, TypeError):
        count = None
    if not isinstance(count, int) or count < 0:
        raise BackendFailure(f"{name} answered no count of tokens to /tokenize")
    return count


def clean(text: str) -> str:
    """Return the text as it is sent: half a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
