"""A client that posts prepared requests as fast as they are taken, or at a fixed rate; a process of its own.

`python -m tests.bench.load --host H --port P --file F --connections N [--rate R] [--seconds S]` prints one JSON object.
The file holds the requests, each after its length (4 bytes): made before, so that making them is not measured. Plain
sockets and epoll(7): what it takes of the machine's cores is not there for what is measured, and `cpu` tells it.
"""

from __future__ import annotations

import argparse
import gc
import json
import select
import socket
import statistics
import sys
import time
from collections import Counter, deque
from pathlib import Path

PATIENCE = 30.0
"""Seconds without an answer after which something is wrong."""


class _Connection:
    """One kept connection: the next request goes out when the last one is answered."""

    __slots__ = ("address", "began", "buffer", "busy", "socket")

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.buffer = b""
        self.began = 0.0
        self.busy = False
        self.open()

    def open(self) -> None:
        self.socket = socket.create_connection(self.address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, request: bytes, due: float) -> None:
        self.began = due
        self.busy = True
        self.socket.sendall(request)


def parse(answer: bytes) -> tuple[int, bool] | None:
    """The status, and whether the connection ends; None while it is not whole."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = answer[:end].lower()
    at = head.find(b"content-length:")
    length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
    if len(answer) < end + 4 + length:
        return None
    return int(head[9:12]), b"connection: close" in head


class Load:
    """Posts `requests` for at most `seconds`."""

    def __init__(self, address: tuple[str, int], requests: list[bytes], *, connections: int, seconds: float) -> None:
        self._requests = deque(requests)
        self._seconds = seconds
        self._poll = select.epoll()
        self._idle: deque[_Connection] = deque()
        self._by_number: dict[int, _Connection] = {}
        for _ in range(connections):
            self._watch(_Connection(address))
        self._seen: dict[bytes, tuple[int, bool]] = {}
        """What answers said: most are the same, byte for byte, for a second."""
        self.latencies: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.outstanding = 0
        self.began = self.ended = 0.0

    def _watch(self, connection: _Connection) -> None:
        number = connection.socket.fileno()
        self._by_number[number] = connection
        self._poll.register(number, select.EPOLLIN)
        self._idle.append(connection)

    def _finished(self, now: float) -> bool:
        return not self._requests or now - self.began >= self._seconds

    def run(self, rate: float | None) -> None:
        """Returns when all that was sent is answered. At a `rate` a request is due at its time, whether or not the one
        before is answered."""
        self.began = self.ended = time.perf_counter()
        number = 0
        while True:
            now = time.perf_counter()
            over = self._finished(now)
            if over and not self.outstanding:
                return
            wait = PATIENCE
            while self._idle and not over:
                due = now if rate is None else self.began + number / rate
                if due > now:
                    wait = due - now
                    break
                number += 1
                self.outstanding += 1
                self._idle.popleft().send(self._requests.popleft(), due)
                over = self._finished(now)
            events = self._poll.poll(wait)
            if not events and wait == PATIENCE:
                raise TimeoutError(f"{self.outstanding} requests were not answered within {PATIENCE:g} seconds")
            for where, _ in events:
                self._read(self._by_number[where])

    def _read(self, connection: _Connection) -> None:
        data = connection.socket.recv(65536)
        if not data:
            self._lost(connection)
            return
        answer = connection.buffer + data if connection.buffer else data
        said = self._seen.get(answer)
        if said is None:
            said = parse(answer)
            if said is None:
                connection.buffer = answer
                return
            if len(self._seen) < 1000:
                self._seen[answer] = said
        connection.buffer = b""
        connection.busy = False
        self.ended = time.perf_counter()
        self.outstanding -= 1
        self.statuses[said[0]] += 1
        self.latencies.append(self.ended - connection.began)
        if said[1]:
            self._lost(connection)
        else:
            self._idle.append(connection)

    def _lost(self, connection: _Connection) -> None:
        if connection.busy:
            raise ConnectionResetError("the connection was closed before the answer came")
        if connection in self._idle:
            self._idle.remove(connection)
        number = connection.socket.fileno()
        self._poll.unregister(number)
        del self._by_number[number]
        connection.socket.close()
        connection.open()
        self._watch(connection)


def run(
    address: tuple[str, int], requests: list[bytes], *, connections: int, rate: float | None, seconds: float
) -> dict[str, object]:
    """What was answered, how fast, in what time, and what that took of a processor here."""
    work = Load(address, requests, connections=connections, seconds=seconds)
    cpu = time.process_time()
    work.run(rate)
    cpu = time.process_time() - cpu
    took = work.ended - work.began
    latencies = sorted(work.latencies)
    return {
        "answered": len(latencies),
        "seconds": took,
        "per_second": len(latencies) / took if took else 0.0,
        "statuses": dict(work.statuses),
        "p50": statistics.median(latencies),
        "p99": latencies[int(len(latencies) * 0.99)],
        "cpu": cpu,
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
    done = run(
        (given.host, given.port), requests, connections=given.connections, rate=given.rate, seconds=given.seconds
    )
    print(json.dumps(done))
    return 0


if __name__ == "__main__":
    sys.exit(main())
