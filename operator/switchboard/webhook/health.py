"""Whether a pod lives and is ready, and its metrics: on a port of its own, never public."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

Problems = Callable[[], list[str]]
"""What is wrong now, each in a few words; empty if nothing is."""


class Health:
    """Answers /livez, /readyz and /metrics.

    Alive: no task of the pod has ended by itself, and none hangs; what fails here a restart mends.
    Ready: all was read that a request needs, and the log takes records; nothing here depends on one connector.
    """

    def __init__(self, alive: Problems, ready: Problems) -> None:
        self._alive = alive
        self._ready = ready
        self.draining = False
        """Set at the end of the pod: no more requests, please."""

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """The answer to one request of a probe or of Prometheus."""
        match request.rel_url.path:
            case "/livez":
                return _answer(self._alive())
            case "/readyz":
                return _answer(["shutting down"] if self.draining else self._ready())
            case "/metrics":
                from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

                body = await asyncio.to_thread(generate_latest)
                return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
        return web.Response(status=404, text="not found\n")


def _answer(problems: list[str]) -> web.Response:
    if problems:
        return web.Response(status=503, text="".join(f"{problem}\n" for problem in problems))
    return web.Response(text="ok\n")
