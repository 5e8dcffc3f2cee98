"""One connection: bytes to requests, requests to the handler one after the other, answers to bytes."""

from __future__ import annotations

import asyncio
import http
import logging
import zlib
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from ssl import SSLContext
from typing import cast

import httptools

from kubesandbox.wire.messages import Answer, HttpRequest, Stream

Handler = Callable[[HttpRequest], Awaitable[Answer | Stream]]

MAX_BODY = 3 * 1024 * 1024  # kube-apiserver's limit of a request
GZIP_FROM = 128 * 1024  # kube-apiserver compresses lists from here on
_REASONS = {status.value: status.phrase for status in http.HTTPStatus}
_log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """An HTTP/1.1 connection that answers in order and stops reading while it is behind."""

    def __init__(self, handler: Handler, open_connections: set[Connection]) -> None:
        self._handler = handler
        self._open = open_connections
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[HttpRequest, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._size = 0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._open.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the request has been taken; the answer says that nothing is upgraded here
        except httptools.HttpParserError:
            self._send(Answer(400, b"400 Bad Request", "text/plain; charset=utf-8"), close=True)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)
        self._writable.set()
        if self._task:
            self._task.cancel()

    # httptools

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))
        if name.lower() == b"expect" and value.lower() == b"100-continue" and self._transport:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size <= MAX_BODY:
            self._body.append(body)

    def on_message_complete(self) -> None:
        request = HttpRequest(
            self._parser.get_method().decode(),
            self._target.decode("latin-1"),
            dict(self._headers),
            b"".join(self._body),
            self._headers,
        )
        request.too_large = self._size > MAX_BODY
        self._waiting.append((request, self._parser.should_keep_alive()))
        self._begin()
        if self._task is None:
            self._task = asyncio.ensure_future(self._serve())

    # answering

    async def _serve(self) -> None:
        try:
            while self._waiting:
                request, keep = self._waiting.popleft()
                answer = await self._handler(request)
                if isinstance(answer, Stream):
                    await self._stream(answer, keep=keep)
                else:
                    self._send(_compressed(request, answer), close=not keep, head=request.method == "HEAD")
                    await self._writable.wait()
        except ConnectionError:
            self.abort()  # a stream that is to break off, or a client that is gone
        except Exception:  # noqa: BLE001 - a stream's bug ends that stream and nothing else
            _log.exception("an answer broke off")
            self.abort()
        finally:
            self._task = None

    def _send(self, answer: Answer, *, close: bool, head: bool = False) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        lines = [
            f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, '')}",
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(answer.body)}",
            "Cache-Control: no-cache, private",
            *(f"{name}: {value}" for name, value in answer.headers),
        ]
        if close:
            lines.append("Connection: close")
        start = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        self._transport.write(start if head else start + answer.body)
        if close:
            self._transport.close()

    async def _stream(self, stream: Stream, *, keep: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        lines = [
            f"HTTP/1.1 {stream.status} {_REASONS.get(stream.status, '')}",
            f"Content-Type: {stream.content_type}",
            "Transfer-Encoding: chunked",
            "Cache-Control: no-cache, private",
            *(f"{name}: {value}" for name, value in stream.headers),
        ]
        if not keep:
            lines.append("Connection: close")
        self._transport.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace"))
        async with aclosing(stream.chunks) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                if self._transport.is_closing():
                    return
                if chunk:
                    self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                await self._writable.wait()
        self._transport.write(b"0\r\n\r\n")
        if not keep:
            self._transport.close()

    def abort(self) -> None:
        """Drop the connection in the middle of whatever it does."""
        if self._transport:
            self._transport.abort()


def _compressed(request: HttpRequest, answer: Answer) -> Answer:
    if len(answer.body) < GZIP_FROM or "gzip" not in request.headers.get("accept-encoding", ""):
        return answer
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    body = packer.compress(answer.body) + packer.flush()
    headers = [*answer.headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
    return Answer(answer.status, body, answer.content_type, headers)


class Server:
    """Listening sockets and the connections they took."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int, *, ssl: SSLContext | None = None) -> int:
        """Listen; gives the port, which port 0 leaves to the system."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._handler, self._connections), host, port, backlog=512, ssl=ssl
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close everything now."""
        if self._server:
            self._server.close()
        for connection in tuple(self._connections):
            connection.abort()
        await asyncio.sleep(0)
