"""Several awaitables at once."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")


async def gathered(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Return all results in order; when one fails, the others are ended and its exception is raised."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
