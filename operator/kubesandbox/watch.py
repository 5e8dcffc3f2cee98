"""Watches: the kept history from a revision on, then what happens, as each watcher's selector sees it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import orjson

from kubesandbox import errors
from kubesandbox.objects import Json, Object
from kubesandbox.store import Event, Table, Version, at_revision

QUEUE = 20_000  # a watcher this far behind is cut off and has to list again
BOOKMARK_SECONDS = 60.0

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
    queue: deque[Notice] = field(default_factory=deque)
    behind: bool = False
    ended: bool = False
    lag: float = 0.0

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
        if self.namespace and event.namespace != self.namespace:
            return
        notice = translate(event, self.matches)
        if notice is None:
            return
        if len(self.queue) >= QUEUE:
            self.behind = True
            self.end()
            return
        self.queue.append(notice)
        if self.lag:
            asyncio.get_running_loop().call_later(self.lag, self._wake.set)
        else:
            self._wake.set()

    async def next(self, timeout: float) -> Notice | None:
        """The next notice, or None after `timeout` seconds or at the end."""
        if not self.queue and not self.ended:
            self._wake.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
            except TimeoutError:
                return None
        return self.queue.popleft() if self.queue else None


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
class Asked:
    """What a watch request asks for, beyond which objects."""

    revision: str
    initial_events: bool | None
    bookmarks: bool
    timeout: float


Encoder = Callable[[str, Version], bytes]


def expired_event(table: Table, asked: int) -> bytes:
    """The ERROR event of a watch that begins before what is kept."""
    status = errors.expired(f"too old resource version: {asked} ({table.compacted + 1})").body
    return line("ERROR", orjson.dumps(status))


def line(kind: str, obj: bytes) -> bytes:
    """One event as the stream carries it."""
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), obj)


async def stream(
    watcher: Watcher, asked: Asked, encode: Encoder, bookmark: Callable[[int, bool], bytes]
) -> AsyncIterator[bytes]:
    """The lines of a watch until its time is up, the client goes, or it falls behind."""
    table = watcher.table
    loop = asyncio.get_running_loop()
    deadline = loop.time() + asked.timeout
    revision = int(asked.revision or 0)
    if revision and not asked.initial_events and revision < table.compacted:
        yield expired_event(table, revision)
        return
    watcher.begin()
    try:
        yield _beginning(watcher, asked, revision, encode, bookmark)
        next_bookmark = loop.time() + BOOKMARK_SECONDS
        while not watcher.ended or watcher.queue:
            left = min(deadline, next_bookmark) - loop.time()
            notice = await watcher.next(max(0.0, left)) if left > 0 or watcher.queue else None
            if notice is not None:
                yield _drain(watcher, notice, encode)
            elif loop.time() >= deadline:
                if asked.bookmarks:
                    yield bookmark(table.store.revision, False)
                return
            elif loop.time() >= next_bookmark:
                next_bookmark = loop.time() + BOOKMARK_SECONDS
                if asked.bookmarks:
                    yield bookmark(table.store.revision, False)
    finally:
        watcher.end()


def _drain(watcher: Watcher, first: Notice, encode: Encoder) -> bytes:
    """Everything that waits, in one write, up to a few hundred events."""
    parts = [encode(first.type, first.version)]
    while watcher.queue and len(parts) < 256:
        notice = watcher.queue.popleft()
        parts.append(encode(notice.type, notice.version))
    return b"".join(parts)


def _beginning(
    watcher: Watcher, asked: Asked, revision: int, encode: Encoder, bookmark: Callable[[int, bool], bytes]
) -> bytes:
    """The first lines: what exists, or what happened since the revision asked for."""
    table, parts = watcher.table, []
    from_state = asked.initial_events or (asked.initial_events is None and revision == 0)
    if from_state:
        parts += [
            encode("ADDED", version)
            for version in table.scan(watcher.namespace)
            if watcher.matches is None or watcher.matches(version.object)
        ]
        if asked.initial_events:
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
    metadata: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return {"kind": kind, "apiVersion": api_version, "metadata": metadata}
