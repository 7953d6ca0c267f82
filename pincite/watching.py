"""Folders and repositories that are watched: looked at again and again, and synchronised when something has changed.

Looking is listing: names, sizes and dates of files, or the commit of a repository. That works on every file system,
network shares too, which send no events, and costs a fraction of a second for ten thousand files.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable

from pincite.catalog import Catalog
from pincite.errors import PinciteError
from pincite.records import Source
from pincite.sources import is_git_url, listing
from pincite.store import Store

# A repository's server is asked this many times less often than a folder is listed.
FOLDERS_A_REPOSITORY = 10

log = logging.getLogger(__name__)


class Watcher:
    """Looks at the watched sources every `interval_s` seconds; `synchronise` queues a job for one that has changed."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        synchronise: Callable[[Source], Awaitable[None]],
        *,
        interval_s: float,
        max_file_bytes: int,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._synchronise = synchronise
        self._interval_s = interval_s
        self._max_file_bytes = max_file_bytes
        self._seen: dict[str, str] = {}
        self._round = 0

    async def run(self) -> None:
        """Look until cancelled, the first time at once: something may have changed while nobody looked."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("looking at the watched sources failed")
            await asyncio.sleep(self._interval_s)

    async def look(self) -> None:
        """Look at every watched source once."""
        with_repositories = self._round % FOLDERS_A_REPOSITORY == 0
        self._round += 1
        for source in await asyncio.to_thread(self._catalog.sources):
            if source.watched and (with_repositories or not is_git_url(source.location)):
                await self._look_at(source)

    async def _look_at(self, source: Source) -> None:
        try:
            state = await asyncio.to_thread(self._state, source)
        except PinciteError as error:
            # Said once: the same trouble a minute later is no news.
            state = error.code
            if self._seen.get(source.id) != state:
                log.warning("source %s cannot be looked at: %s", source.id, error.code)
            self._seen[source.id] = state
            return
        if self._seen.get(source.id) == state:
            return
        try:
            await self._synchronise(source)
        except PinciteError as error:
            log.warning("source %s has changed and cannot be synchronised now: %s", source.id, error.code)
        else:
            self._seen[source.id] = state

    def _state(self, source: Source) -> str:
        """Return what is the same as long as nothing has changed."""
        found = listing(
            source.location,
            include=source.include,
            exclude=source.exclude,
            max_bytes=self._max_file_bytes,
            private_hosts=source.private_hosts,
            clone_folder=self._store.repositories / source.id,
        )
        state = hashlib.sha256()
        for file in found.files:
            state.update(f"{file.path}\0{file.size}\0{file.fingerprint}\n".encode())
        return state.hexdigest()
