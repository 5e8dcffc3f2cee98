"""The one answer that nearly every request gets: 200 with empty TwiML, as bytes that are made once a second."""

from __future__ import annotations

import time
from email.utils import formatdate

from aiohttp import web

from switchboard.providers.twilio.inbound import EMPTY_TWIML, TWIML_TYPE


class EmptyTwiml(web.StreamResponse):
    """Written as it is to a connection that stays open: a `web.Response` makes its headers anew for each request, which
    costs more than verifying the signature. One object answers all requests."""

    def __init__(self) -> None:
        super().__init__(headers={"Content-Type": TWIML_TYPE})
        self._second = 0
        self._bytes = b""

    @property
    def keep_alive(self) -> bool:
        """Always: requests that want to close get a `web.Response`."""
        return True

    async def prepare(self, request: web.BaseRequest) -> None:
        """Writes head and body."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            head = (
                f"HTTP/1.1 200 OK\r\nContent-Type: {TWIML_TYPE}\r\nContent-Length: {len(EMPTY_TWIML)}\r\n"
                f"Date: {formatdate(now, usegmt=True)}\r\n\r\n"
            )
            self._bytes = head.encode() + EMPTY_TWIML
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        transport.write(self._bytes)

    async def write_eof(self, data: bytes = b"") -> None:
        """All is written."""


_KEPT = EmptyTwiml()


def empty_twiml(request: web.BaseRequest) -> web.StreamResponse:
    """The answer that sends nothing."""
    if request.keep_alive:
        return _KEPT
    return web.Response(body=EMPTY_TWIML, headers={"Content-Type": TWIML_TYPE})
