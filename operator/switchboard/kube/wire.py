"""Requests to one server over HTTP/1.1: kept connections and llhttp's parser, and nothing besides.

Most of what an operator does is short requests to one server. aiohttp's client takes three times the CPU for each:
URLs, cookies, redirects, middlewares and streams that none of them uses. Watches, which are few and long, are its.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import httptools
from yarl import URL

IDLE_SECONDS = 15.0
"""Servers and what stands before them close connections on which nothing happens, some after 20 seconds."""
_REPEATED = "GET"
"""What may be asked once more when a kept connection turns out to have been closed, as Go's net/http has it.

RFC 9110 (9.2.2) would allow PUT and DELETE too. But where the first one was done and only its answer lost, the second
conflicts with it or finds nothing, and who asked takes that for somebody else's doing.
"""


class Disconnected(ConnectionError):
    """The connection ended before the answer did."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    body: bytes
    retry_after: str | None = None
    """The header `Retry-After`, as it stands there."""


class Sender(Protocol):
    """Sends requests to an API server."""

    async def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """The answer. `target`: path and query, encoded. Raises OSError or ValueError where there is none."""
        ...

    async def close(self) -> None:
        """Lets go of all connections."""
        ...


class Wire:
    """A server, and the connections to it that are kept."""

    def __init__(
        self,
        server: URL,
        headers: Mapping[str, str],
        *,
        tls: ssl.SSLContext | None,
        tls_server_name: str | None,
        seconds: float,
        limit: int,
    ) -> None:
        """`headers`: of every request; `seconds`: for each altogether; `limit`: connections at a time."""
        self._host, self._port = server.host or "", server.port or 443
        self._tls = (tls or ssl.create_default_context()) if server.scheme == "https" else None
        self._tls_server_name = (tls_server_name or self._host) if self._tls is not None else None
        # Nothing asks for compression: it takes longer than the lists of a cluster's own network.
        every = {"Host": server.host_port_subcomponent or self._host, "Accept-Encoding": "identity", **headers}
        self._every = _lines(every)
        self._seconds = seconds
        self._places = asyncio.Semaphore(limit)
        self._idle: deque[_Connection] = deque()
        self._due: dict[_Connection, float] = {}
        """When each answer that is waited for is due, on the loop's clock."""
        self._looking: asyncio.TimerHandle | None = None

    async def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """The answer. `target`: path and query, encoded. Raises OSError or ValueError where there is none."""
        head = f"{method} {target} HTTP/1.1\r\n{self._every}{_lines(headers)}"
        if body is not None or method != "GET":
            head += f"Content-Length: {len(body or b'')}\r\n"
        request = b"".join((head.encode("latin-1"), b"\r\n", body or b""))
        due = asyncio.get_running_loop().time() + self._seconds
        if self._places.locked():
            async with asyncio.timeout_at(due):
                await self._places.acquire()
        else:
            await self._places.acquire()
        try:
            while (connection := self._kept()) is not None:
                try:
                    return await self._ask(connection, request, due)
                except Disconnected:
                    if connection.heard or method != _REPEATED:
                        raise
            async with asyncio.timeout_at(due):
                connection = await self._connect()
            return await self._ask(connection, request, due)
        finally:
            self._places.release()

    async def close(self) -> None:
        """Lets go of all connections."""
        while self._idle:
            self._idle.pop().close()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _ask(self, connection: _Connection, request: bytes, due: float) -> Answer:
        self._due[connection] = due
        if self._looking is None:
            self._look()
        try:
            answer = await connection.ask(request)
        except BaseException:
            connection.abort()  # what still comes on it is an answer that nobody waits for
            raise
        finally:
            del self._due[connection]
        if connection.open:
            connection.since = time.monotonic()
            self._idle.append(connection)
        return answer

    def _look(self) -> None:
        """Ends what is overdue, now and then: a timer for each request took a twentieth of the operator's CPU."""
        loop = asyncio.get_running_loop()
        for connection in [connection for connection, due in self._due.items() if due <= loop.time()]:
            connection.overdue()
        self._looking = loop.call_later(min(1.0, self._seconds / 10), self._look) if self._due else None

    def _kept(self) -> _Connection | None:
        """The connection that was used last; those that nobody used for long are closed."""
        oldest = time.monotonic() - IDLE_SECONDS
        while self._idle and (self._idle[0].since < oldest or not self._idle[0].open):
            self._idle.popleft().close()
        while self._idle:
            if (connection := self._idle.pop()).open:
                return connection
        return None

    async def _connect(self) -> _Connection:
        _, connection = await asyncio.get_running_loop().create_connection(
            _Connection,
            self._host,
            self._port,
            ssl=self._tls,
            server_hostname=self._tls_server_name,
            happy_eyeballs_delay=0.25,
        )
        return connection


class _Connection(asyncio.Protocol):
    """One connection: one request at a time, and its answer."""

    def __init__(self) -> None:
        self.since = 0.0
        """When it was last used, on the monotonic clock."""
        self.heard = False
        """Whether anything came in answer to the last request."""
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[Answer] | None = None
        self._body: list[bytes] = []
        self._retry_after: str | None = None
        self._framed = False

    @property
    def open(self) -> bool:
        """Whether another request may be sent on it."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> Answer:
        """Sends a request. Raises Disconnected, or ValueError for what is no HTTP."""
        if self._transport is None or self._transport.is_closing():
            raise Disconnected("the connection was closed")
        self.heard = False
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiting
        finally:
            self._waiting = None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def overdue(self) -> None:
        """The answer has not come in time."""
        self._end(error=TimeoutError())

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - create_connection makes no other
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._waiting is None:  # nothing was asked
            self.abort()
            return
        self.heard = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._end(error=ValueError(f"what came is no answer of HTTP/1.1: {error}"))
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._waiting is None or self._waiting.done():
            return
        if error is None and self._body and not self._framed:
            self._answer()  # HTTP/1.0: what has no length ends with its connection
        else:
            self._end(error=Disconnected(str(error) if error is not None else "the server closed the connection"))

    # What the parser tells

    def on_message_begin(self) -> None:
        self._body, self._retry_after, self._framed = [], None, False

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in {b"content-length", b"transfer-encoding"}:
            self._framed = True
        elif name == b"retry-after":
            self._retry_after = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if not 100 <= self._parser.get_status_code() < 200:  # "go on" is no answer yet
            if not self._parser.should_keep_alive():
                self.close()
            self._answer()

    def _answer(self) -> None:
        self._end(Answer(self._parser.get_status_code(), b"".join(self._body), self._retry_after))
        self._body = []

    def _end(self, answer: Answer | None = None, error: Exception | None = None) -> None:
        waiting = self._waiting
        if waiting is None or waiting.done():
            return
        if answer is not None:
            waiting.set_result(answer)
        elif error is not None:
            waiting.set_exception(error)


def _lines(headers: Mapping[str, str]) -> str:
    """Headers as they are sent. Raises ValueError for a value that would be more than one line."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ValueError("a header's value holds a line's end")
    return lines
