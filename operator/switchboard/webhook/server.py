"""The two listeners of a pod: Twilio's webhooks, and health."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

from aiohttp import web

from switchboard.webhook.connection import Connection, Connections, Post

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

KEEP_ALIVE_SECONDS = 75.0
"""Longer than proxies keep a connection (60 s), so that it is they who close it; a later request's head has as long."""
HEAD_SECONDS = 10.0
"""How long a new connection may take for the head of its first request."""


STOP_SECONDS = 5.0
"""That running requests are given to end."""


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

    def __init__(
        self, handler: Handler, host: str, port: int, *, post: Post | None = None, head_seconds: float = HEAD_SECONDS
    ) -> None:
        """`handler` answers all requests, or, with `post`, those that are not plain ones."""
        self._handler = handler
        self._host = host
        self._port = port
        self._post = post
        self._head_seconds = head_seconds
        self._general: _Server | None = None
        self._connections: Connections | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listens; gives the port. Raises OSError."""
        general = _Server(self._handler, self._head_seconds)
        factory: Callable[[], asyncio.Protocol] = general
        if self._post is not None:
            connections = Connections(
                self._post, general, head_seconds=self._head_seconds, idle_seconds=KEEP_ALIVE_SECONDS
            )
            factory, self._connections = partial(Connection, connections), connections
        self._general = general
        self._server = await asyncio.get_running_loop().create_server(factory, self._host, self._port, backlog=1024)
        return cast("int", self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Takes no more connections, and lets running requests end."""
        if self._general is not None:
            await asyncio.shield(self._stop(self._general))

    async def _stop(self, general: _Server) -> None:
        if self._server is not None:
            self._server.close()
        general.pre_shutdown()
        ending = [general.shutdown(STOP_SECONDS)]
        if self._connections is not None:
            ending.append(self._connections.stop(STOP_SECONDS))
        await asyncio.gather(*ending)
