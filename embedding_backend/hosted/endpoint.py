"""One server: an HTTP client that bounds every answer in time and size and says how a request failed."""

import asyncio
import random
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from embedding_backend.embedder import BackendFailure
from embedding_backend.hosted.config import ServerConfig
from embedding_backend.hosted.metrics import ServerMetrics

TOO_MANY_REQUESTS = 429
# Answers that another try may turn into a better one.
PASSING = frozenset({TOO_MANY_REQUESTS, 500, 502, 503, 504})
FIRST_BACKOFF_S = 0.1
_CONNECTIONS = 128
# Shorter than the 5 s after which vLLM closes an idle connection, or a request would now and then meet the closing.
_KEEP_ALIVE_S = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered that another try would not change."""

    endpoint: str
    status: int
    body: bytes


class AttemptFailed(Exception):
    """A request came to nothing and may be sent again.

    `outcome` is what the metrics call it, `unreachable` says that not even a connection was made.
    """

    def __init__(
        self, outcome: str, message: str, *, unreachable: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.unreachable = unreachable
        self.retry_after_s = retry_after_s


class Endpoint:
    """A server as the pool sees it: `outstanding` is the work under way, `up` whether it takes more."""

    def __init__(self, address: str, config: ServerConfig, metrics: ServerMetrics) -> None:
        parts = urlsplit(address)
        self.name = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
        self.address = address
        self.up = False
        self.outstanding = 0
        self.resumes_at = 0.0
        self.suspected = asyncio.Event()
        self._metrics = metrics
        self._limit_s = config.request_timeout_s
        self._client = httpx.AsyncClient(
            base_url=address,
            headers=bearer(config.api_key),
            timeout=httpx.Timeout(None, connect=config.connect_timeout_s),
            limits=httpx.Limits(
                max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS, keepalive_expiry=_KEEP_ALIVE_S
            ),
        )
        self._running: set[asyncio.Task[Answer]] = set()

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        limit_s: float | None = None,
        max_bytes: int = 1 << 20,
    ) -> Answer:
        """Return the server's answer.

        Raises:
            AttemptFailed: the connection broke, the time was up, the server was overloaded or failed.
            BackendFailure: the answer has more than `max_bytes`.
        """
        seconds = min(self._limit_s, limit_s) if limit_s is not None else self._limit_s
        # A task of its own, so that whoever finds the server gone can end it (`abandon`).
        task = asyncio.ensure_future(self._exchange(method, path, body, max_bytes))
        self._running.add(task)
        began = time.perf_counter()
        outcome = "cancelled"
        try:
            await asyncio.wait({task}, timeout=seconds)
            if not task.done():
                raise AttemptFailed("timeout", f"{self.name} did not answer within {seconds:.3g} s")
            if task.cancelled():
                raise AttemptFailed("connection", f"{self.name} no longer answers its health checks")
            answer = task.result()
            outcome = "ok" if answer.status < httpx.codes.BAD_REQUEST else str(answer.status)
            return answer
        except AttemptFailed as failure:
            outcome = failure.outcome
            raise
        except BackendFailure:
            outcome = "refused"
            raise
        finally:
            self._running.discard(task)
            task.cancel()
            self._metrics.requests.labels(self.name, outcome).inc()
            self._metrics.request_seconds.labels(self.name).observe(time.perf_counter() - began)

    async def alive(self, limit_s: float) -> bool:
        """Ask the server how it is; a server that has no answer to that but answers is well."""
        try:
            async with asyncio.timeout(limit_s):
                response = await self._client.get("/health")
        except (httpx.HTTPError, TimeoutError):
            return False
        return response.status_code < httpx.codes.INTERNAL_SERVER_ERROR

    def abandon(self) -> None:
        """End the requests under way; they fail as after a lost connection."""
        for task in self._running:
            task.cancel()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _exchange(self, method: str, path: str, body: bytes | None, max_bytes: int) -> Answer:
        headers = {"Content-Type": "application/json"} if body is not None else None
        try:
            async with self._client.stream(method, path, content=body, headers=headers) as response:
                received = bytearray()
                async for part in response.aiter_bytes():
                    received += part
                    if len(received) > max_bytes:
                        raise BackendFailure(f"{self.name} answered more than {max_bytes:,} bytes to {path}")
        except httpx.HTTPError as error:
            unreachable = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            problem = connection_problem(self.name, error)
            raise AttemptFailed("connection", problem, unreachable=unreachable) from error
        if response.status_code in PASSING:
            raise AttemptFailed(
                str(response.status_code),
                f"{self.name} answered {response.status_code} to {path}",
                retry_after_s=_retry_after_s(response.headers.get("retry-after")),
            )
        return Answer(self.name, response.status_code, bytes(received))


def bearer(key: SecretStr | None) -> dict[str, str]:
    """Return the header that carries the key."""
    return {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}


def connection_problem(name: str, error: httpx.HTTPError) -> str:
    """Say in a sentence why the server could not be talked to; the error's own text may hold an address or a key."""
    if isinstance(error, httpx.ConnectTimeout):
        return f"{name} does not accept the connection in time; check the address, and that the machine is up"
    if isinstance(error, httpx.ConnectError):
        cause = _root(error)
        if isinstance(cause, ConnectionRefusedError):
            return f"nothing listens at {name} (connection refused); start the server there or correct the address"
        if isinstance(cause, ssl.SSLError):
            return f"the TLS connection to {name} failed; check the certificate, and whether it speaks https at all"
        return f"{name} cannot be reached; check the host's name and the network"
    return f"the connection to {name} was lost ({type(error).__name__})"


def _root(error: BaseException) -> BaseException:
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


def _retry_after_s(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header, which may be a number or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    with suppress(ValueError):
        return max(0.0, float(value))
    with suppress(ValueError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None


def jittered(seconds: float, uniform: Callable[[float, float], float] = random.uniform) -> float:
    """Return between half and all of it, so that clients that failed together do not come back together."""
    return uniform(seconds / 2, seconds)
