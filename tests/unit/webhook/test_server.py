"""Connections that are not requests."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from aiohttp import web

from switchboard.webhook.health import Health
from switchboard.webhook.server import Listener
from switchboard.webhook.twiml import empty_twiml


async def answer(request: web.BaseRequest) -> web.StreamResponse:
    await request.read()
    return empty_twiml(request)


async def talk(port: int, *parts: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    said = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return said


@pytest.mark.parametrize("head", [b"", b"POST / HTTP/1.1\r\nHost:"])
async def test_a_connection_that_says_nothing_or_not_enough_is_closed(head: bytes) -> None:
    listener = Listener(answer, "127.0.0.1", 0, head_seconds=0.1)
    port = await listener.start()
    assert await talk(port, head) == b""
    await listener.stop()


async def test_a_connection_is_kept_for_more_requests_and_closed_when_the_client_asks() -> None:
    listener = Listener(answer, "127.0.0.1", 0, head_seconds=0.1)
    port = await listener.start()
    kept = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
    last = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    said = await talk(port, kept, kept, last)
    assert said.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert said.lower().count(b"content-type: text/xml") == 3
    assert said.count(b"<Response/>") == 3
    assert said.lower().count(b"date: ") == 3
    await listener.stop()


async def test_a_compressed_body_is_handed_on_as_it_came() -> None:
    packed = gzip.compress(b"a" * 1_000_000)
    bodies: list[bytes] = []

    async def keep(request: web.BaseRequest) -> web.StreamResponse:
        bodies.append(await request.read())
        return empty_twiml(request)

    listener = Listener(keep, "127.0.0.1", 0)
    port = await listener.start()
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n"
    await talk(port, head.encode() + b"Connection: close\r\n\r\n" + packed)
    assert bodies == [packed]
    await listener.stop()


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [(b"/livez", b"200", b"ok"), (b"/readyz", b"503", b"no log"), (b"/nothing", b"404", b"not found")],
)
async def test_health_says_what_is_wrong(path: bytes, status: bytes, text: bytes) -> None:
    health = Health(list, lambda: ["no log"])
    listener = Listener(health.handle, "127.0.0.1", 0)
    port = await listener.start()
    said = await talk(port, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 " + status)
    assert text in said
    health.draining = True
    said = await talk(port, b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"shutting down" in said
    await listener.stop()
