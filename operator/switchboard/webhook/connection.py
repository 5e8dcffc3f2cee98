"""A connection of Twilio's, or of a proxy's: plain requests one after the other, then perhaps others."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import cast

from aiohttp import web

from switchboard.webhook import plain
from switchboard.webhook.plain import Awaited, Posted
from switchboard.webhook.twiml import Written, written

log = logging.getLogger(__name__)

Post = Callable[[Posted], Awaitable[Written | None]]
"""Answers a plain request; None: with empty TwiML."""

BODY_SECONDS = 10.0
"""How long a sender may take for its body, before the general server sees to it (and gives it as long)."""
NEVER = float("inf")
_BEHIND = 256 * 1024
"""Bytes of requests that may wait behind the one that is answered."""


class Connections:
    """All connections of a listener."""

    def __init__(self, post: Post, general: web.Server, *, head_seconds: float, idle_seconds: float) -> None:
        """`general` gets the connections on which anything comes that is not plain."""
        self.post = post
        self.general = general
        self.head_seconds = head_seconds
        self.idle_seconds = idle_seconds
        self.open: set[Connection] = set()
        self.loop = asyncio.get_running_loop()
        self.closing = False
        self._sweep: asyncio.TimerHandle | None = None
        self._swept()

    def _swept(self) -> None:
        """Closes what rested too long. One timer for all: setting one for each request is dearer."""
        before = self.loop.time() - self.idle_seconds
        for connection in [one for one in self.open if one.rests_since < before]:
            connection.close()
        self._sweep = self.loop.call_later(self.idle_seconds / 10, self._swept)

    async def stop(self, seconds: float) -> None:
        """Closes those that rest at once, and the others when they are answered, or when the time is over."""
        self.closing = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self.open):
            connection.close()
        working = [connection.task for connection in self.open if connection.task is not None]
        if working:
            await asyncio.wait(working, timeout=seconds)
        for connection in list(self.open):
            if connection.task is not None:
                connection.abort()


class Connection(asyncio.Protocol):
    """One of them."""

    __slots__ = (
        "_all",
        "_buffer",
        "_last",
        "_needs",
        "_reads",
        "_timer",
        "_transport",
        "_writes",
        "rests_since",
        "task",
    )

    def __init__(self, connections: Connections) -> None:
        self._all = connections
        self._transport = cast("asyncio.Transport", None)
        self._buffer = b""
        self._needs = 0
        self._timer: asyncio.TimerHandle | None = None
        self._reads = self._writes = True
        self._last = False
        self.task: asyncio.Task[None] | None = None
        """Answers a request."""
        self.rests_since = NEVER
        """When the last answer was written, if nothing came since."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open, and shall not stay silent."""
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._all.open.add(self)
        self._timer = self._all.loop.call_later(self._all.head_seconds, self.close)

    def connection_lost(self, _: Exception | None) -> None:
        """What is being recorded is recorded all the same."""
        self._no_timer()
        self._all.open.discard(self)

    def data_received(self, data: bytes) -> None:
        """Begins with the first request in it, if none is under way."""
        self._buffer = self._buffer + data if self._buffer else data
        if self.task is not None or not self._writes:
            self._flow()
        elif len(self._buffer) >= self._needs:
            self._next()

    def pause_writing(self) -> None:
        """The other side does not read: it gets no more answers."""
        self._writes = False
        self._flow()

    def resume_writing(self) -> None:
        """It reads again."""
        self._writes = True
        if self.task is None and self._buffer and not self._needs and not self._transport.is_closing():
            self._next()
        self._flow()

    def _flow(self) -> None:
        """Reads only what can be answered soon."""
        reads = self._writes and (self.task is None or len(self._buffer) <= _BEHIND)
        if reads != self._reads:
            self._reads = reads
            if reads:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _next(self) -> None:
        """Answers the next request, if it is here."""
        found = plain.parse(self._buffer)
        self.rests_since = NEVER
        if self._timer is not None:
            self._no_timer()
        if found is None:
            self._hand_over()
        elif isinstance(found, Awaited):
            self._needs = found.bytes
            self._timer = self._all.loop.call_later(BODY_SECONDS, self._hand_over)
        else:
            posted, taken = found
            self._needs = 0
            self._buffer = self._buffer[taken:]
            self.task = self._all.loop.create_task(self._answer(posted), name="request")

    def _no_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hand_over(self) -> None:
        """To the general server, with all that has not been answered."""
        self._no_timer()
        self._all.open.discard(self)
        handler = self._all.general()
        self._transport.set_protocol(handler)
        handler.connection_made(self._transport)
        data, self._buffer = self._buffer, b""
        handler.data_received(data)

    async def _answer(self, posted: Posted) -> None:
        transport = self._transport
        try:
            answer = await self._all.post(posted)
        except asyncio.CancelledError:
            transport.abort()
            raise
        except Exception:
            log.exception("a request could not be answered")
            answer = Written(HTTPStatus.INTERNAL_SERVER_ERROR, "this server failed: try again\n")
        self.task = None
        if transport.is_closing():
            return
        last = self._last or self._all.closing
        transport.write(written(answer, last=last))
        if last:
            transport.close()
            return
        self.rests_since = self._all.loop.time()
        if self._buffer and self._writes:
            self._next()
        if not self._reads:
            self._flow()

    def close(self) -> None:
        """When it is answered what is under way."""
        self._last = True
        if self.task is None:
            self._transport.close()

    def abort(self) -> None:
        """Now."""
        if self.task is not None:
            self.task.cancel()
        self._transport.abort()
