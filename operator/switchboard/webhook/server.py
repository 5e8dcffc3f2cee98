"""The two listeners of a pod: Twilio's webhooks, and health."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

KEEP_ALIVE_SECONDS = 75.0
"""Longer than proxies keep a connection (60 s), so that it is them who close it."""


class Listener:
    """One HTTP server."""

    def __init__(self, handler: Handler, host: str, port: int) -> None:
        self._host = host
        self._port = port
        server = web.Server(handler, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS)
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=5.0)

    async def start(self) -> int:
        """Listens; gives the port. Raises OSError."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port, backlog=1024).start()
        return cast("int", self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Takes no more connections, and lets running requests end."""
        await asyncio.shield(self._runner.cleanup())
