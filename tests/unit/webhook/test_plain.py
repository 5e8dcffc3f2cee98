"""Plain requests, and what is left to the general server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.webhook import connection
from switchboard.webhook.plain import Awaited, Posted, parse
from switchboard.webhook.server import Listener
from switchboard.webhook.twiml import Written

HEAD = (
    b"POST /twilio/acme/sms HTTP/1.1\r\nHost: hooks.example.com\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"X-Twilio-Signature:  c2ln \r\nContent-Length: 3\r\n"
)
WHOLE = HEAD + b"\r\na=b"


def test_a_plain_request_is_read() -> None:
    assert parse(WHOLE + b"POST") == (
        Posted("/twilio/acme/sms", "application/x-www-form-urlencoded", "c2ln", "", b"a=b"),
        len(WHOLE),
    )


@pytest.mark.parametrize("header", [b"Connection: keep-alive", b"connection: Keep-Alive", b"X-Forwarded-For: 1.2.3.4"])
def test_what_proxies_add_is_plain(header: bytes) -> None:
    found = parse(HEAD + header + b"\r\n\r\na=b")
    assert isinstance(found, tuple)
    assert not isinstance(found, Awaited)


def test_a_body_that_has_not_come_is_awaited() -> None:
    assert parse(WHOLE[:-2]) == Awaited(len(WHOLE))


NOT_PLAIN = {
    "another method": WHOLE.replace(b"POST", b"GET"),
    "an absolute target": WHOLE.replace(b"/twilio", b"http://x/twilio"),
    "another version": WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "no length": WHOLE.replace(b"Content-Length: 3\r\n", b""),
    "a signed length": WHOLE.replace(b"Length: 3", b"Length: +3"),
    "two numbers": WHOLE.replace(b"Length: 3", b"Length: 3, 3"),
    "two lengths": HEAD + b"content-length: 3\r\n\r\na=b",
    "a length and chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\na=b",
    "a compressed body": HEAD + b"Content-Encoding: gzip\r\n\r\na=b",
    "two signatures": HEAD + b"X-Twilio-Signature: c2ln\r\n\r\na=b",
    "no host": WHOLE.replace(b"Host: hooks.example.com\r\n", b""),
    "two hosts": HEAD + b"Host: evil.example.com\r\n\r\na=b",
    "a last request": HEAD + b"Connection: close\r\n\r\na=b",
    "options of the connection": HEAD + b"Connection: keep-alive, x-twilio-signature\r\n\r\na=b",
    "an upgrade": HEAD + b"Upgrade: h2c\r\n\r\na=b",
    "an expectation": HEAD + b"Expect: 100-continue\r\n\r\na=b",
    "a space before the colon": HEAD + b"X : y\r\n\r\na=b",
    "a folded line": HEAD + b"X: y\r\n z\r\n\r\na=b",
    "a line that ends with a line feed": HEAD + b"X: y\n\r\n\r\na=b",
    "a carriage return alone": HEAD + b"X: y\rz\r\n\r\na=b",
    "a NUL": HEAD + b"X: \0\r\n\r\na=b",
    "no name": HEAD + b": y\r\n\r\na=b",
    "no colon": HEAD + b"xyz\r\n\r\na=b",
    "an empty line before it": b"\r\n" + WHOLE,
    "too long a body": WHOLE.replace(b"Length: 3", b"Length: 999999"),
    "too long a head": HEAD + b"X: " + b"y" * 9000 + b"\r\n\r\na=b",
    "half a head": HEAD,
    "nothing": b"",
}


@pytest.mark.parametrize("data", NOT_PLAIN.values(), ids=NOT_PLAIN.keys())
def test_what_is_not_plain_is_left_to_the_general_server(data: bytes) -> None:
    assert parse(data) is None


NAMES = ["Content-Length", "Content-Type", "X-Twilio-Signature", "Host", "Transfer-Encoding", "Connection", "Expect"]
VALUES = ["5", "05", "+5", "5,5", " 5 ", "chunked", "keep-alive", "close", "gzip", "", "\xff", "a\0b", "5\r\nX: y"]
LINES = st.tuples(
    st.sampled_from([*NAMES, "content-length", "Content-Encoding", "Content-Length ", " Content-Length", "X-A"]),
    st.sampled_from([":", ": ", ":\t"]),
    st.sampled_from(VALUES) | st.text(st.characters(max_codepoint=255), max_size=5),
    st.sampled_from(["\r\n", "\r\n", "\n", "\r"]),
)


@settings(max_examples=200, deadline=None)
@given(
    target=st.sampled_from(["/a", "/a?b", "/a#b", "//x/a", "http://h/a", "/%00", "/a b", "/\xff", "*", "/../a"]),
    lines=st.lists(LINES.map("".join), max_size=4),
    body=st.sampled_from(["a=b&c", "hello world", "0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"]),
    length=st.sampled_from(["5", "0", "05"]),
)
def test_what_is_plain_is_read_as_the_general_server_reads_it(
    target: str, lines: list[str], body: str, length: str
) -> None:
    head = f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n" + "".join(lines)
    data = f"{head}\r\n{body}".encode("latin-1")
    found = parse(data)
    if found is None or isinstance(found, Awaited):
        return
    posted, taken = found
    loop = asyncio.new_event_loop()
    general = HttpRequestParser(BaseProtocol(loop), loop, 2**16, auto_decompress=False)
    [(message, content)], upgraded, rest = general.feed_data(data[:taken])
    loop.close()
    told = message.headers
    assert (message.path, told.get("Content-Type", "")) == (posted.path, posted.content_type)
    assert told.get("X-Twilio-Signature") == posted.signature
    assert [upgraded, rest, message.should_close, message.chunked] == [False, b"", False, False]
    assert content.is_eof() or not posted.body
    assert content.read_nowait() == posted.body


@given(st.binary(max_size=200), st.integers(0, len(WHOLE)), st.integers(0, 20))
def test_no_bytes_raise(noise: bytes, at: int, cut: int) -> None:
    parse(noise)
    parse(WHOLE[:at] + noise + WHOLE[at + cut :])


Talk = Callable[..., Awaitable[bytes]]


class Answering:
    """Says which of the two servers answered."""

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self.generally: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.begun = asyncio.Event()

    async def post(self, posted: Posted) -> Written | None:
        self.posted.append(posted)
        self.begun.set()
        await self.may_answer.wait()
        if posted.body == b"a=!":
            raise RuntimeError("a bug")
        return None if posted.signature else Written(403, "no\n")

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.generally.append(request.method)
        return web.Response(text=f"general {len(await request.read())}", status=202)


@pytest_asyncio.fixture
async def answering() -> Answering:
    return Answering()


@pytest_asyncio.fixture
async def listener(answering: Answering) -> AsyncIterator[Listener]:
    listening = Listener(answering.handle, "127.0.0.1", 0, post=answering.post, head_seconds=5)
    yield listening
    await listening.stop()


async def told(reader: asyncio.StreamReader, times: int) -> bytes:
    said = b""
    async with asyncio.timeout(10):
        while said.count(b"HTTP/1.1 ") < times or not said.endswith((b"/>", b"\n", b"3")):
            more = await reader.read(65536)
            if not more:
                break
            said += more
    return said


async def test_requests_that_come_at_once_are_answered_one_by_one_in_their_order(
    listener: Listener, answering: Answering
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", await listener.start())
    unsigned = WHOLE.replace(b"X-Twilio-Signature:  c2ln \r\n", b"")
    writer.write(WHOLE + unsigned + WHOLE)
    said = await told(reader, 3)
    assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"200", b"403", b"200"]
    assert not answering.generally
    writer.close()


async def test_a_body_may_come_in_pieces(listener: Listener, answering: Answering) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", await listener.start())
    for index in range(len(HEAD) + 2, len(WHOLE) + 1):
        writer.write(WHOLE[:index] if index == len(HEAD) + 2 else WHOLE[index - 1 : index])
        await writer.drain()
        await asyncio.sleep(0)
    assert (await told(reader, 1)).startswith(b"HTTP/1.1 200 OK\r\n")
    assert [one.body for one in answering.posted] == [b"a=b"]
    writer.close()


async def test_a_body_that_never_comes_is_the_general_servers_to_wait_for(
    listener: Listener, answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BODY_SECONDS", 0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", await listener.start())
    writer.write(WHOLE[:-1])
    async with asyncio.timeout(10):
        while not answering.generally:
            await asyncio.sleep(0.005)
    writer.write(WHOLE[-1:])
    assert b"general 3" in await told(reader, 1)
    writer.close()


async def test_after_something_that_is_not_plain_the_general_server_answers_all(
    listener: Listener, answering: Answering
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", await listener.start())
    chunked = HEAD.replace(b"Content-Length: 3", b"Transfer-Encoding: chunked") + b"\r\n3\r\na=b\r\n0\r\n\r\n"
    writer.write(WHOLE + chunked + WHOLE)
    said = await told(reader, 3)
    assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"200", b"202", b"202"]
    assert (len(answering.posted), answering.generally) == (1, ["POST", "POST"])
    writer.close()


async def test_a_failure_of_ours_is_told_and_the_connection_goes_on(listener: Listener) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", await listener.start())
    writer.write(HEAD + b"\r\na=!" + WHOLE)
    said = await told(reader, 2)
    assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"500", b"200"]
    writer.close()


async def test_a_connection_that_says_nothing_is_closed(answering: Answering) -> None:
    listening = Listener(answering.handle, "127.0.0.1", 0, post=answering.post, head_seconds=0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", await listening.start())
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    await listening.stop()


async def test_at_the_end_what_is_under_way_is_answered_and_what_rests_is_closed(
    listener: Listener, answering: Answering
) -> None:
    port = await listener.start()
    resting, one = await asyncio.open_connection("127.0.0.1", port)
    one.write(WHOLE)
    await told(resting, 1)
    answering.may_answer.clear()
    answering.begun.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(WHOLE)
    await answering.begun.wait()
    stopping = asyncio.create_task(listener.stop())
    assert await asyncio.wait_for(resting.read(), 10) == b""
    answering.may_answer.set()
    said = await asyncio.wait_for(reader.read(), 10)
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in said
    await stopping
    one.close()
    writer.close()


async def test_who_does_not_read_is_not_read(listener: Listener, answering: Answering) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", await listener.start())
    answering.may_answer.clear()
    sent, most = 0, 64 * 1024 * 1024
    block = WHOLE * 2000
    try:
        async with asyncio.timeout(1):
            while sent < most:
                writer.write(block)
                sent += len(block)
                await writer.drain()
    except TimeoutError:
        pass
    assert sent < most, "the kernel's buffers fill up"
    assert len(answering.posted) == 1
    writer.transport.abort()
    answering.may_answer.set()
