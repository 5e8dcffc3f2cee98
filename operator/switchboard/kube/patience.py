"""What a person would do on a terminal: ask again what a busy API server refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from switchboard.kube.errors import Conflict, TooManyRequests, Unavailable

T = TypeVar("T")

PAUSES = (0.2, 0.5, 1.0, 2.0)


async def patiently(request: Callable[[], Awaitable[T]]) -> T:
    """What a request gives that may be made twice; it names no version, so a conflict passes too.

    Raises:
        KubeError: nobody answered at all, it was refused for good, or five times.
    """
    for pause in PAUSES:
        try:
            return await request()
        except (Conflict, TooManyRequests, Unavailable) as error:
            if not error.status:
                raise
        await asyncio.sleep(pause)
    return await request()
