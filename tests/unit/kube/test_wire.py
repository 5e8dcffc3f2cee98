"""Requests over kept connections, against servers that answer in every way that HTTP/1.1 knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from yarl import URL

from switchboard.kube.wire import Answer, Disconnected, Wire

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def wire(serve: Serve, *, seconds: float = 10.0, limit: int = 10, path: str = "") -> AsyncIterator[Wire]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = URL(f"http://127.0.0.1:{port}{path}")
    found = Wire(url, {"User-Agent": "test"}, tls=None, tls_server_name=None, seconds=seconds, limit=limit)
    try:
        yield found
    finally:
        await found.close()
        server.close()


async def request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    lengths = [line.split(":")[1] for line in head.split("\r\n") if line.lower().startswith("content-length")]
    return head, await reader.readexactly(int(lengths[0]) if lengths else 0)


async def ask(to: Wire, method: str = "GET", body: bytes | None = None) -> Answer:
    return await to.send(method, "/api/v1/pods", {"Accept": "application/json"}, body)


async def test_a_connection_is_used_again() -> None:
    connections: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        while True:
            await request(reader)
            writer.write(OK)

    async with wire(serve) as to:
        answers = [await ask(to) for _ in range(3)]
    assert answers == [Answer(200, b"{}")] * 3
    assert len(connections) == 1


async def test_a_request_says_where_it_goes_and_how_long_it_is() -> None:
    seen: list[tuple[str, bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await request(reader))
        writer.write(OK)

    async with wire(serve) as to:
        await to.send("PATCH", "/apis/a/b?fieldManager=c", {"Authorization": "Bearer t"}, b'{"a":1}')
    ((head, body),) = seen
    assert body == b'{"a":1}'
    first, *headers = head.strip().split("\r\n")
    assert first == "PATCH /apis/a/b?fieldManager=c HTTP/1.1"
    assert {"User-Agent: test", "Authorization: Bearer t", "Content-Length: 7"} <= set(headers)
    assert sum(header.startswith("Host: 127.0.0.1:") for header in headers) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabcde",
        b"HTTP/1.0 200 OK\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
    ],
    ids=["chunked", "length", "old", "until it closes", "go on first"],
)
@pytest.mark.parametrize("piece", [1, 1000])
async def test_an_answer_comes_whole_however_it_is_framed(answer: bytes, piece: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        for start in range(0, len(answer), piece):
            writer.write(answer[start : start + piece])
            await writer.drain()

    async with wire(serve) as to:
        assert await ask(to) == Answer(200, b"abcde")


async def test_an_answer_that_breaks_off_is_none() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc")

    async with wire(serve) as to:
        with pytest.raises(Disconnected):
            await ask(to)


async def test_what_is_no_http_is_no_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")

    async with wire(serve) as to:
        with pytest.raises(ValueError, match="no answer of HTTP"):
            await ask(to)


@pytest.mark.parametrize(("method", "repeated"), [("GET", True), ("PUT", False), ("DELETE", False), ("POST", False)])
async def test_what_may_be_repeated_is_when_a_kept_connection_was_closed(method: str, repeated: bool) -> None:
    """The server closes at the second request: whether it read that cannot be known."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await request(reader))[0].split()[0])
        writer.write(OK)
        if len(asked) == 1:
            asked.append((await request(reader))[0].split()[0])

    async with wire(serve) as to:
        await ask(to)
        if repeated:
            assert await ask(to, method) == Answer(200, b"{}")
        else:
            with pytest.raises(Disconnected):
                await ask(to, method, b"{}")
    assert asked == ["GET", method, *([method] if repeated else [])]


async def test_an_answer_that_nobody_waits_for_any_more_is_not_taken_for_the_next_ones() -> None:
    asked, go = asyncio.Event(), asyncio.Event()
    first: list[bool] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        late, _ = not first, first.append(True)
        while True:
            await request(reader)
            asked.set()
            if late:
                await go.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
            else:
                writer.write(OK)

    async with wire(serve) as to:
        given_up = asyncio.create_task(ask(to))
        await asked.wait()
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        go.set()
        assert await ask(to) == Answer(200, b"{}")


async def test_no_answer_in_time_ends_the_wait() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with wire(serve, seconds=0.05) as to:
        with pytest.raises(TimeoutError):
            await ask(to)


async def test_waiting_for_a_place_counts_as_well() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with wire(serve, seconds=0.05, limit=1) as to:
        results = await asyncio.gather(*(ask(to) for _ in range(3)), return_exceptions=True)
    assert [type(it) for it in results] == [TimeoutError] * 3


async def test_who_is_answered_in_time_is_not_disturbed_by_who_is_not() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, _ = await request(reader)
            if head.startswith("DELETE"):
                await reader.read()
            writer.write(OK)

    async with wire(serve, seconds=0.2) as to:
        late = asyncio.create_task(ask(to, "DELETE"))
        while not late.done():
            assert await ask(to) == Answer(200, b"{}")
        with pytest.raises(TimeoutError):
            await late
        assert await ask(to) == Answer(200, b"{}")


async def test_no_more_connections_than_allowed_are_open() -> None:
    open_, most = 0, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_, most
        open_ += 1
        most = max(most, open_)
        try:
            while True:
                await request(reader)
                writer.write(OK)
        finally:
            open_ -= 1

    async with wire(serve, limit=2) as to:
        answers = await asyncio.gather(*(ask(to) for _ in range(20)))
    assert len(answers) == 20
    assert most == 2


async def test_a_header_cannot_become_two() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)

    async with wire(serve) as to:
        with pytest.raises(ValueError, match="line"):
            await to.send("GET", "/", {"Authorization": "Bearer a\r\nX-Other: b"}, None)
