"""Several servers of one model as one: the least loaded is asked, a failing one replaced, a recovered one rejoins."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from embedding_backend.embedder import BackendFailure, BackendUnreachable
from embedding_backend.hosted.config import ServerConfig
from embedding_backend.hosted.endpoint import (
    FIRST_BACKOFF_S,
    TOO_MANY_REQUESTS,
    Answer,
    AttemptFailed,
    Endpoint,
    jittered,
)
from embedding_backend.hosted.metrics import ServerMetrics

_LONGEST_BACKOFF_S = 5.0
# A busy server may miss one health check; one that misses two is taken for gone.
_MISSED_CHECKS = 2

Admit = Callable[[Endpoint], Awaitable[None]]
_log = logging.getLogger(__name__)


class EndpointPool:
    """Sends requests to whichever of the endpoints can take them.

    `admit` asks an endpoint what it serves and raises BackendFailure where that is not what the others serve; it runs
    before an endpoint gets its first request and again whenever it comes back, since another model may have been
    started in its place.
    """

    def __init__(self, config: ServerConfig, metrics: ServerMetrics, admit: Admit) -> None:
        self._config = config
        self._metrics = metrics
        self._admit = admit
        self.endpoints = [Endpoint(address, config, metrics) for address in config.endpoints]
        self._changed = asyncio.Event()
        self._watchers: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Admit the endpoints, the first that answers before the rest; one that is away may join later.

        Raises:
            BackendUnreachable: none can be reached.
            BackendFailure: one serves something else, or refuses the key.
        """
        away: list[str] = []
        for endpoint in self.endpoints:
            try:
                await self._admit(endpoint)
            except AttemptFailed as failure:
                away.append(str(failure))
                self._set_up(endpoint, up=False)
            else:
                self._set_up(endpoint, up=True)
        if len(away) == len(self.endpoints):
            raise BackendUnreachable("; ".join(away))
        for message in away:
            _log.warning("%s; the other endpoints do its work until it comes back", message)
        self._watchers = [asyncio.create_task(self._watch(endpoint)) for endpoint in self.endpoints]

    @property
    def available(self) -> int:
        """How many endpoints take requests."""
        return sum(endpoint.up for endpoint in self.endpoints)

    async def post(self, path: str, body: bytes, *, work: int, deadline: float, max_bytes: int) -> Answer:
        """Send a request until a server answers it for good; `work` is its size in tokens, `deadline` a loop time.

        Raises:
            BackendFailure: no server could before the deadline, or `attempts` were in vain.
        """
        now = asyncio.get_running_loop().time
        failure: AttemptFailed | None = None
        failed: list[Endpoint] = []
        for _ in range(self._config.attempts):
            endpoint = await self._free(deadline, failed, failure)
            if failed and failed[-1] is not endpoint:
                self._metrics.failovers.inc()
            if endpoint in failed:
                await self._back_off(len(failed), deadline, failure)
            endpoint.outstanding += work
            try:
                return await endpoint.request(
                    "POST", path, body, limit_s=max(0.001, deadline - now()), max_bytes=max_bytes
                )
            except AttemptFailed as caught:
                failure = caught
                failed.append(endpoint)
                self._note(endpoint, caught)
            finally:
                endpoint.outstanding -= work
            if now() >= deadline:
                break
        raise BackendFailure(f"{failure}; gave up after {len(failed)} attempts") from failure

    async def close(self) -> None:
        """End the health checks and close the connections."""
        for watcher in self._watchers:
            watcher.cancel()
        for endpoint in self.endpoints:
            await endpoint.close()

    # Which endpoint, and when

    async def _free(self, deadline: float, failed: list[Endpoint], failure: AttemptFailed | None) -> Endpoint:
        """Return the endpoint with the least work, once there is one; one that has not failed yet where possible."""
        now = asyncio.get_running_loop().time
        while True:
            able = [e for e in self.endpoints if e.up and e.resumes_at <= now()]
            if able:
                return min(able, key=lambda e: (e in failed, e.outstanding))
            resumes_at = min((e.resumes_at for e in self.endpoints if e.up), default=None)
            if resumes_at is not None and resumes_at > deadline:
                raise BackendFailure(f"{failure}; it asks to wait longer than the time that is left") from failure
            changed = self._changed
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(deadline, resumes_at) if resumes_at is not None else deadline):
                    await changed.wait()
            if now() >= deadline:
                names = " and ".join(endpoint.name for endpoint in self.endpoints)
                raise BackendFailure(str(failure) if failure else f"{names} cannot be reached") from failure

    async def _back_off(self, failures: int, deadline: float, failure: AttemptFailed | None) -> None:
        now = asyncio.get_running_loop().time()
        pause_s = jittered(min(_LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** (failures - 1)))
        if now + pause_s >= deadline:
            raise BackendFailure(f"{failure}; no time is left for another attempt") from failure
        await asyncio.sleep(pause_s)

    def _note(self, endpoint: Endpoint, failure: AttemptFailed) -> None:
        if failure.retry_after_s is not None:
            endpoint.resumes_at = asyncio.get_running_loop().time() + failure.retry_after_s
        if failure.unreachable:
            self._take_down(endpoint)
        # An overloaded server is well; any other failure is a reason to look.
        if failure.outcome != str(TOO_MANY_REQUESTS):
            endpoint.suspected.set()

    # Health

    async def _watch(self, endpoint: Endpoint) -> None:
        missed = 0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s(missed)):
                    await endpoint.suspected.wait()
            endpoint.suspected.clear()
            if not await endpoint.alive(self._config.health_timeout_s):
                missed += 1
                if missed >= _MISSED_CHECKS:
                    self._take_down(endpoint)
                    # Without another to take them over, its requests are better left to a server that may only be busy.
                    if self.available:
                        endpoint.abandon()
                continue
            missed = 0
            if not endpoint.up and await self._readmitted(endpoint):
                self._set_up(endpoint, up=True)
                _log.info("%s takes requests again", endpoint.name)

    def _pause_s(self, missed: int) -> float:
        interval_s = self._config.health_interval_s
        return min(interval_s, jittered(FIRST_BACKOFF_S * 2 ** min(missed, 10))) if missed else interval_s

    async def _readmitted(self, endpoint: Endpoint) -> bool:
        try:
            await self._admit(endpoint)
        except (AttemptFailed, BackendFailure) as failure:
            _log.warning("%s stays without requests: %s", endpoint.name, failure)
            return False
        return True

    def _take_down(self, endpoint: Endpoint) -> None:
        if endpoint.up:
            _log.warning("%s takes no requests for now; its health is checked until it does", endpoint.name)
            self._set_up(endpoint, up=False)

    def _set_up(self, endpoint: Endpoint, *, up: bool) -> None:
        endpoint.up = up
        self._metrics.up.labels(endpoint.name).set(up)
        self._changed.set()
        self._changed = asyncio.Event()
