"""The two listeners of a pod: Twilio's webhooks, and health."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

KEEP_ALIVE_SECONDS = 75.0
"""Longer than proxies keep a connection (60 s), so that it is they who close it; a later request's head has as long."""
HEAD_SECONDS = 10.0
"""How long a new connection may take for the head of its first request."""


class _Server(web.Server):
    """Closes connections that are opened and say nothing, or say it too slowly."""

    def __init__(self, handler: Handler, head_seconds: float) -> None:
        super().__init__(
            handler,
            request_factory=self._request,
            access_log=None,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            auto_decompress=False,  # a body of 58 KB took 0.14 s of CPU to unpack, before anybody had proved who it is
        )
        self._head_seconds = head_seconds
        self._silent: dict[web.RequestHandler, asyncio.TimerHandle] = {}

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        loop = asyncio.get_running_loop()
        self._silent[handler] = loop.call_later(self._head_seconds, handler.force_close)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        self._heard(handler)
        super().connection_lost(handler, exc)

    def _heard(self, handler: web.RequestHandler) -> None:
        timer = self._silent.pop(handler, None)
        if timer is not None:
            timer.cancel()

    def _request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        self._heard(protocol)
        return web.BaseRequest(message, payload, protocol, writer, task, self._loop)


class Listener:
    """One HTTP server."""

    def __init__(self, handler: Handler, host: str, port: int, *, head_seconds: float = HEAD_SECONDS) -> None:
        self._handler = handler
        self._host = host
        self._port = port
        self._head_seconds = head_seconds
        self._runner: web.ServerRunner | None = None

    async def start(self) -> int:
        """Listens; gives the port. Raises OSError."""
        server = _Server(self._handler, self._head_seconds)
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=5.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port, backlog=1024).start()
        return cast("int", self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Takes no more connections, and lets running requests end."""
        if self._runner is not None:
            await asyncio.shield(self._runner.cleanup())
