"""Container logs: files in the format of the container runtime interface, and reading them as kubectl asks."""

import asyncio
import contextlib
import datetime as dt
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

ROTATE_BYTES = 10 * 1024 * 1024
"""The kubelet's containerLogMaxSize; one earlier file is kept beside the current one."""


class LogFile:
    """One run of a container. Lines are `<RFC 3339 time> <stdout|stderr> F <text>`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._size = 0
        self._partial = {"stdout": b"", "stderr": b""}
        self._grown = asyncio.Event()
        self.closed = False
        self.rotations = 0

    def write(self, stream: str, chunk: bytes) -> None:
        """A sink for a process's output; an empty chunk is the stream's end."""
        if self.closed:
            return
        *lines, rest = (self._partial[stream] + chunk).split(b"\n")
        if rest and (not chunk or len(rest) > 1 << 18):
            lines.append(rest)
            rest = b""
        self._partial[stream] = rest
        if lines:
            prefix = f"{_timestamp()} {stream} F ".encode()
            block = b"".join(prefix + line + b"\n" for line in lines)
            self._file.write(block)
            self._size += len(block)
            if self._size > ROTATE_BYTES:
                self._rotate()
            self._wake()

    def close(self) -> None:
        if not self.closed:
            for stream in self._partial:
                self.write(stream, b"")
            self.closed = True
            self._file.close()
            self._wake()

    @property
    def grown(self) -> asyncio.Event:
        """Set at the next write, or at the end."""
        return self._grown

    def entries(self) -> Iterator["Entry"]:
        """What is kept of this run, oldest first."""
        for path in (self.previous, self.path):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                yield from map(Entry.parse, file)

    @property
    def previous(self) -> Path:
        return self.path.with_suffix(".log.1")

    def _rotate(self) -> None:
        self._file.close()
        self.path.replace(self.previous)
        self._file = self.path.open("ab", buffering=0)
        self._size = 0
        self.rotations += 1

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()


@dataclass(frozen=True, slots=True)
class Entry:
    time: str
    stream: str
    text: bytes

    @classmethod
    def parse(cls, line: bytes) -> "Entry":
        time, stream, _, text = line.split(b" ", 3)
        return cls(time.decode(), stream.decode(), text)


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What `pods/log` may ask for. `since` is an RFC 3339 time in UTC."""

    follow: bool = False
    tail_lines: int | None = None
    timestamps: bool = False
    since: str | None = None
    limit_bytes: int | None = None
    stream: str | None = None

    def wants(self, entry: Entry) -> bool:
        return (self.since is None or entry.time >= self.since) and self.stream in (None, entry.stream)

    def render(self, entry: Entry) -> bytes:
        return entry.time.encode() + b" " + entry.text if self.timestamps else entry.text


async def read(log: LogFile, query: LogQuery) -> AsyncIterator[bytes]:
    """The log's lines as the query wants them; with follow until the container ends."""
    left = query.limit_bytes
    async for entry in _entries(log, query):
        line = query.render(entry)
        if left is not None:
            line = line[:left]
            left -= len(line)
        if line:
            yield line
        if left == 0:
            return


def _from(path: Path, offset: int) -> tuple[list[bytes], int]:
    """Whole lines of the file after `offset`, and where they end."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.readlines(), file.tell()
    except FileNotFoundError:
        return [], offset


async def _entries(log: LogFile, query: LogQuery) -> AsyncIterator[Entry]:
    kept: deque[Entry] = deque(maxlen=query.tail_lines)
    generation, offset = log.rotations, log.path.stat().st_size if log.path.exists() else 0
    kept.extend(entry for entry in log.entries() if query.wants(entry))
    for entry in kept:
        yield entry
    while query.follow:
        ended = log.closed
        grown = log.grown
        fresh: list[bytes] = []
        if log.rotations != generation:
            fresh += _from(log.previous, offset if log.rotations == generation + 1 else 0)[0]
            generation, offset = log.rotations, 0
        current, offset = _from(log.path, offset)
        fresh += current
        for line in fresh:
            entry = Entry.parse(line)
            if query.wants(entry):
                yield entry
        if ended:
            return
        if not fresh:
            await grown.wait()


def since_seconds(seconds: int) -> str:
    return _format(dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds))


def since_time(text: str) -> str:
    """An RFC 3339 time in the form that log lines have, so that they compare as text."""
    return _format(dt.datetime.fromisoformat(text).astimezone(dt.UTC))


def _timestamp() -> str:
    return _format(dt.datetime.now(dt.UTC))


def _format(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
