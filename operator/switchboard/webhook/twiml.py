"""Answers as bytes. The one that nearly every request gets, 200 with empty TwiML, is made once a second."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web

from switchboard.providers.twilio.inbound import EMPTY_TWIML, TWIML_TYPE


class Written(NamedTuple):
    """An answer in words."""

    status: int
    text: str


class _Taken:
    """200 with empty TwiML, of this second."""

    __slots__ = ("_bytes", "_second")

    def __init__(self) -> None:
        self._second = 0
        self._bytes = b""

    def bytes(self) -> bytes:
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._bytes = _bytes(200, TWIML_TYPE, EMPTY_TWIML)
        return self._bytes


def _bytes(status: int, content_type: str, body: bytes, *, last: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nDate: {formatdate(usegmt=True)}\r\n"
    )
    return f"{head}Connection: close\r\n\r\n".encode() + body if last else f"{head}\r\n".encode() + body


def written(answer: Written | None, *, last: bool = False) -> bytes:
    """The whole answer; None: with empty TwiML. `last`: the connection ends with it."""
    if answer is not None:
        return _bytes(answer.status, "text/plain; charset=utf-8", answer.text.encode(), last=last)
    return _bytes(200, TWIML_TYPE, EMPTY_TWIML, last=True) if last else _TAKEN.bytes()


class EmptyTwiml(web.StreamResponse):
    """Written as it is to a connection that stays open: a `web.Response` makes its headers anew for each request, which
    costs more than verifying the signature. One object answers all requests."""

    def __init__(self) -> None:
        super().__init__(headers={"Content-Type": TWIML_TYPE})

    @property
    def keep_alive(self) -> bool:
        """Always: requests that want to close get a `web.Response`."""
        return True

    async def prepare(self, request: web.BaseRequest) -> None:
        """Writes head and body."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        transport.write(_TAKEN.bytes())

    async def write_eof(self, data: bytes = b"") -> None:
        """All is written."""


_TAKEN = _Taken()
_KEPT = EmptyTwiml()


def empty_twiml(request: web.BaseRequest) -> web.StreamResponse:
    """The answer that sends nothing."""
    if request.keep_alive:
        return _KEPT
    return web.Response(body=EMPTY_TWIML, headers={"Content-Type": TWIML_TYPE})
