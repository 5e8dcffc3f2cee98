"""Events are written once, by name: what an API server that is busy or away may have missed is told again."""

from __future__ import annotations

import asyncio

from switchboard.kube.client import KubeApi
from switchboard.kube.errors import AlreadyExists, TooManyRequests, Unavailable
from switchboard.kube.resources import EVENTS, Object

PAUSES = (0.2, 1.0)


async def post(api: KubeApi, event: Object) -> None:
    """Creates an Event, whose name nobody else has. Raises KubeError when it was refused, or three times not taken."""
    for pause in PAUSES:
        try:
            await api.create(EVENTS, event)
        except AlreadyExists:
            return  # an earlier try made it, and its answer was lost
        except (TooManyRequests, Unavailable):
            await asyncio.sleep(pause)
        else:
            return
    await api.create(EVENTS, event)
