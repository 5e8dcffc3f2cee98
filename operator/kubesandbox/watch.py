"""Watches: the kept history from a revision on, then what happens, as each watcher's selector sees it."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import orjson

from kubesandbox import errors
from kubesandbox.objects import Json, Object
from kubesandbox.store import Event, Table, Version, at_revision

QUEUE = 20_000  # a watcher this far behind is cut off and has to list again
BOOKMARK_SECONDS = 60.0
PRE_TIMEOUT_SECONDS = 2.0

Matcher = Callable[[Object], bool]


@dataclass(frozen=True, slots=True)
class Notice:
    """What one watcher is told."""

    type: str
    version: Version


@dataclass(eq=False)
class Watcher:
    """One client's subscription to a table."""

    table: Table
    namespace: str
    matches: Matcher | None
    queue: deque[tuple[float, Notice]] = field(default_factory=deque)
    ended: bool = False
    after: int = 0  # a revision that may be yet to come: what happens until then is not told
    lag: Callable[[], float] | None = None  # seconds by which a notice comes late (a hostile cluster)

    def __post_init__(self) -> None:
        self._wake = asyncio.Event()

    def begin(self) -> None:
        """Listen from here on."""
        self.table.listeners.append(self.notice)
        self.table.on_drop.append(self.end)

    def end(self) -> None:
        """Listen no more; what is queued is still delivered."""
        self.ended = True
        if self.notice in self.table.listeners:
            self.table.listeners.remove(self.notice)
            self.table.on_drop.remove(self.end)
        self._wake.set()

    def notice(self, event: Event) -> None:
        """Take one event if it concerns this watcher."""
        if event.revision <= self.after or (self.namespace and event.namespace != self.namespace):
            return
        notice = translate(event, self.matches)
        if notice is None:
            return
        if len(self.queue) >= QUEUE:
            self.end()
            return
        due = 0.0
        if self.lag is not None:
            due = max(time.monotonic() + self.lag(), self.queue[-1][0] if self.queue else 0.0)
        self.queue.append((due, notice))
        self._wake.set()

    async def next(self, seconds: float) -> Notice | None:
        """The next notice, or None after some seconds or at the end."""
        if not self.queue and not self.ended:
            self._wake.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
            except TimeoutError:
                return None
        if not self.queue:
            return None
        late = self.queue[0][0] - time.monotonic()
        if late > 0:
            await asyncio.sleep(min(late, seconds))
            if late > seconds:
                return None
        return self.queue.popleft()[1]

    def take_due(self) -> Notice | None:
        """The next notice if it may be told now."""
        if self.queue and self.queue[0][0] <= time.monotonic():
            return self.queue.popleft()[1]
        return None


def translate(event: Event, matches: Matcher | None) -> Notice | None:
    """An event as a selector sees it: what comes into it is added, what leaves it is deleted."""
    if matches is None:
        return Notice(event.type, event.version)
    if event.type == "DELETED":
        return Notice("DELETED", event.version) if matches(event.version.object) else None
    is_in = matches(event.version.object)
    was_in = event.previous is not None and matches(event.previous.object)
    if is_in:
        return Notice("MODIFIED" if was_in else "ADDED", event.version)
    if was_in and event.previous is not None:
        return Notice("DELETED", at_revision(event.previous, event.revision))
    return None


@dataclass(frozen=True)
class End:
    """An untimely end: after some seconds, by a broken connection or as expired."""

    after: float
    breaks: bool


class Broken(ConnectionError):
    """The connection is to be dropped in the middle of the stream."""


@dataclass(frozen=True)
class Asked:
    """What a watch request asks for, beyond which objects."""

    revision: str
    initial_events: bool | None
    bookmarks: bool
    timeout: float
    end: End | None = None  # how a hostile cluster cuts it short


Encoder = Callable[[str, Version], bytes]
Bookmark = Callable[[int, bool], bytes]


def expired_event(table: Table, asked: int) -> bytes:
    """The ERROR event of a watch that begins before what is kept."""
    status = errors.expired(f"too old resource version: {asked} ({table.compacted + 1})").body
    return line("ERROR", orjson.dumps(status))


def line(kind: str, obj: bytes) -> bytes:
    """One event as the stream carries it."""
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), obj)


async def stream(watcher: Watcher, asked: Asked, encode: Encoder, bookmark: Bookmark) -> AsyncIterator[bytes]:
    """The lines of a watch until its time is up, the client goes, or it falls behind."""
    table = watcher.table
    loop = asyncio.get_running_loop()
    deadline = loop.time() + min(asked.timeout, asked.end.after if asked.end else asked.timeout)
    revision = int(asked.revision or 0)
    if revision and not asked.initial_events and revision < table.compacted:
        yield expired_event(table, revision)
        return
    watcher.begin()
    try:
        yield _beginning(watcher, asked, revision, encode, bookmark)
        # A bookmark comes each minute, and two seconds before the end where that is not too soon (nextBookmarkTime).
        last = deadline - PRE_TIMEOUT_SECONDS
        next_bookmark = _next(loop.time(), last)
        while not watcher.ended or watcher.queue:
            left = min(deadline, next_bookmark) - loop.time()
            notice = await watcher.next(left) if left > 0 else None
            if notice is not None:
                yield _drain(watcher, notice, encode)
            elif loop.time() >= deadline:
                if asked.end and asked.end.after < asked.timeout:
                    if asked.end.breaks:
                        raise Broken
                    yield expired_event(table, revision)
                return
            elif loop.time() >= next_bookmark:
                next_bookmark = _next(loop.time(), last)
                if asked.bookmarks and not watcher.queue:
                    yield bookmark(table.store.revision, False)
    finally:
        watcher.end()


def _next(now: float, last: float) -> float:
    """When the next bookmark is due; `last` is when the last one is."""
    if last <= now + PRE_TIMEOUT_SECONDS:
        return math.inf
    return min(now + BOOKMARK_SECONDS, last)


def _drain(watcher: Watcher, first: Notice, encode: Encoder) -> bytes:
    """Everything that waits, in one write, up to a few hundred events."""
    parts = [encode(first.type, first.version)]
    while len(parts) < 256 and (notice := watcher.take_due()):
        parts.append(encode(notice.type, notice.version))
    return b"".join(parts)


def _beginning(watcher: Watcher, asked: Asked, revision: int, encode: Encoder, bookmark: Bookmark) -> bytes:
    """The first lines: what exists, or what happened since the revision asked for."""
    table, parts = watcher.table, []
    from_state = asked.initial_events or (asked.initial_events is None and revision == 0)
    if from_state:
        parts += [
            encode("ADDED", version)
            for version in table.scan(watcher.namespace)
            if watcher.matches is None or watcher.matches(version.object)
        ]
        if asked.initial_events and asked.bookmarks:
            parts.append(bookmark(table.store.revision, True))
    elif revision:
        for event in table.history:
            if event.revision > revision and (not watcher.namespace or event.namespace == watcher.namespace):
                notice = translate(event, watcher.matches)
                if notice:
                    parts.append(encode(notice.type, notice.version))
    return b"".join(parts)


def bookmark_object(kind: str, api_version: str, revision: int, *, initial: bool) -> Json:
    """The almost empty object of a BOOKMARK."""
    metadata: Object = {"resourceVersion": str(revision)}
    if initial:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return {"kind": kind, "apiVersion": api_version, "metadata": metadata}
