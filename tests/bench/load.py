"""A client that posts prepared requests as fast as they are taken, or at a fixed rate; a process of its own.

`python -m tests.bench.load --host H --port P --file F --connections N [--rate R] [--seconds S]` prints one JSON object.
The file holds the requests, each after its length (4 bytes): made before, so that making them is not measured.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import sys
import time
from collections import Counter, deque
from pathlib import Path


class _Connection(asyncio.Protocol):
    """One kept connection: the next request goes out when the last one is answered."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._work.idle(self)

    def send(self, request: bytes, due: float) -> None:
        assert self._transport is not None
        self._began = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        status = int(head[9:12])
        closes = b"connection: close" in head
        self._buffer = b""
        self._work.done(status, time.perf_counter() - self._began)
        if closes and self._transport is not None:
            self._transport.close()
        else:
            self._work.idle(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._work.lost()


class _Work:
    def __init__(self, requests: list[bytes], rate: float | None, seconds: float) -> None:
        self._requests = deque(requests)
        self._rate = rate
        self._seconds = seconds
        self._idle: deque[_Connection] = deque()
        self._due: deque[float] = deque()
        self.latencies: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.outstanding = 0
        self.began = time.perf_counter()
        self.ended = 0.0
        self.over = asyncio.get_running_loop().create_future()
        self.reconnect = lambda: None

    def _finished(self) -> bool:
        return not self._requests or time.perf_counter() - self.began >= self._seconds

    def idle(self, connection: _Connection) -> None:
        if self._rate is None:
            if self._finished():
                return self._end()
            self._go(connection, time.perf_counter())
        elif self._due:
            self._go(connection, self._due.popleft())
        else:
            self._idle.append(connection)
        return None

    def _go(self, connection: _Connection, due: float) -> None:
        self.outstanding += 1
        connection.send(self._requests.popleft(), due)

    def done(self, status: int, seconds: float) -> None:
        self.outstanding -= 1
        self.statuses[status] += 1
        self.latencies.append(seconds)
        self.ended = time.perf_counter()

    def lost(self) -> None:
        if not self._finished():
            self.reconnect()

    def _end(self) -> None:
        if not self.outstanding and not self.over.done():
            self.over.set_result(None)

    async def pace(self) -> None:
        """At a fixed rate a request is due at its time, whether or not the one before is answered."""
        assert self._rate is not None
        number = 0
        while not self._finished():
            due = self.began + number / self._rate
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            number += 1
            if self._idle:
                self._go(self._idle.popleft(), due)
            else:
                self._due.append(due)
        while self.outstanding:
            await asyncio.sleep(0.005)


async def run(
    host: str, port: int, requests: list[bytes], *, connections: int, rate: float | None, seconds: float
) -> dict[str, object]:
    """Posts `requests` for at most `seconds`; what was answered, how fast, in what time."""
    loop = asyncio.get_running_loop()
    work = _Work(requests, rate, seconds)

    def connected(task: asyncio.Task[object]) -> None:
        error = task.exception()
        if error is not None and not work.over.done():
            work.over.set_exception(error)

    def connect() -> None:
        task: asyncio.Task[object] = loop.create_task(loop.create_connection(lambda: _Connection(work), host, port))
        task.add_done_callback(connected)
        tasks.add(task)

    tasks: set[asyncio.Task[object]] = set()
    work.reconnect = connect
    for _ in range(connections):
        connect()
    if rate is None:
        await work.over
    else:
        await work.pace()
    took = work.ended - work.began
    latencies = sorted(work.latencies)
    return {
        "answered": len(latencies),
        "seconds": took,
        "per_second": len(latencies) / took if took else 0.0,
        "statuses": dict(work.statuses),
        "p50": statistics.median(latencies),
        "p99": latencies[int(len(latencies) * 0.99)],
    }


def read(path: Path) -> list[bytes]:
    """The prepared requests."""
    data, requests, at = path.read_bytes(), [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        requests.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return requests


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float, default=None)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    requests = read(given.file)[given.skip :]
    gc.disable()
    print(
        json.dumps(
            asyncio.run(
                run(
                    given.host,
                    given.port,
                    requests,
                    connections=given.connections,
                    rate=given.rate,
                    seconds=given.seconds,
                )
            )
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
