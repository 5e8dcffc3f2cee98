"""Objects in memory, as etcd and the watch cache keep them: versions, one global revision, a bounded history.

A stored object is never changed: a write puts a new `Version` in the old one's place, so readers, watchers and
snapshots may hold on to what they were given. Each version is encoded once per apiVersion it is asked in.
"""

from __future__ import annotations

import time
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import orjson

from kubesandbox.objects import Object

HISTORY_EVENTS = 2048  # a kind's events that a watch may still begin in
HISTORY_SECONDS = 300.0  # kube-apiserver compacts etcd every five minutes


class Version:
    """One object as it was from one revision to the next."""

    __slots__ = ("_encoded", "object", "revision")

    def __init__(self, obj: Object, revision: int) -> None:
        self.object = obj
        self.revision = revision
        self._encoded: dict[str, bytes] = {}

    def encoded(self, api_version: str | None = None, convert: Callable[[Object], Object] | None = None) -> bytes:
        """The object as JSON, in the version asked for; computed once."""
        key = api_version or ""
        data = self._encoded.get(key)
        if data is None:
            data = self._encoded[key] = orjson.dumps(convert(self.object) if convert else self.object)
        return data


@dataclass(frozen=True, slots=True)
class Event:
    """One write: what was there before and what is there now (for a deletion: the last state, at its revision)."""

    type: str  # ADDED, MODIFIED, DELETED
    revision: int
    namespace: str
    version: Version
    previous: Version | None
    at: float


@dataclass(eq=False)
class Table:
    """All objects of one resource, in etcd's key order, and what happened to them lately."""

    store: Store
    items: dict[str, Version] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    history: deque[Event] = field(default_factory=deque)
    compacted: int = 0  # watches and exact reads before this revision are Expired
    listeners: list[Callable[[Event], None]] = field(default_factory=list)
    on_drop: list[Callable[[], None]] = field(default_factory=list)

    def get(self, namespace: str, name: str) -> Version | None:
        """The current version of one object."""
        return self.items.get(f"{namespace}/{name}")

    def scan(self, namespace: str = "") -> Iterator[Version]:
        """The current versions, of one namespace or of all, in key order; safe against writes while it runs."""
        if not namespace:
            keys = self.keys[:]
        else:
            low = bisect_left(self.keys, f"{namespace}/")
            keys = self.keys[low : bisect_left(self.keys, f"{namespace}0")]
        for key in keys:
            version = self.items.get(key)
            if version is not None:
                yield version

    def at(self, revision: int, namespace: str = "") -> list[Version] | None:
        """The versions as of an earlier revision, or None where the history no longer reaches back to it."""
        if revision < self.compacted:
            return None
        items = {f"{namespace_of(v.object)}/{name_of(v.object)}": v for v in self.scan(namespace)}
        for event in reversed(self.history):
            if event.revision <= revision:
                break
            if namespace and event.namespace != namespace:
                continue
            key = f"{event.namespace}/{name_of(event.version.object)}"
            if event.previous is None:
                items.pop(key, None)
            else:
                items[key] = event.previous
        return [items[key] for key in sorted(items)]

    def seen_by(self, at: float) -> int:
        """The last revision that was there at a time (of time.monotonic), as far as the history tells."""
        later = next((event for event in self.history if event.at > at), None)
        return self.store.revision if later is None else later.revision - 1

    def put(self, obj: Object) -> Version:
        """Store an object under its name at the next revision and tell who listens."""
        namespace, name = namespace_of(obj), name_of(obj)
        key = f"{namespace}/{name}"
        previous = self.items.get(key)
        version = Version(obj, self.store.advance())
        obj["metadata"]["resourceVersion"] = str(version.revision)
        if previous is None:
            insort(self.keys, key)
        self.items[key] = version
        self._record(
            Event("MODIFIED" if previous else "ADDED", version.revision, namespace, version, previous, time.monotonic())
        )
        return version

    def rewrite(self, change: Callable[[Object], Object]) -> None:
        """Read every object as `change` makes it from now on: no write, so no revision and no event.

        What is kept is read by its definition's current schema: a default that is new holds for old objects, too.
        """
        for key, version in self.items.items():
            changed = change(version.object)
            if changed != version.object:
                self.items[key] = Version(changed, version.revision)

    def remove(self, namespace: str, name: str) -> Version:
        """Drop an object; gives its last state, whose resourceVersion is the deletion's."""
        key = f"{namespace}/{name}"
        previous = self.items.pop(key)
        del self.keys[bisect_left(self.keys, key)]
        version = at_revision(previous, self.store.advance())
        self._record(Event("DELETED", version.revision, namespace, version, previous, time.monotonic()))
        return version

    def _record(self, event: Event) -> None:
        history = self.history
        history.append(event)
        oldest = event.at - HISTORY_SECONDS
        while len(history) > HISTORY_EVENTS or history[0].at < oldest:
            self.compacted = history.popleft().revision
        for listener in tuple(self.listeners):
            listener(event)


def at_revision(version: Version, revision: int) -> Version:
    """The same object with another resourceVersion: how a watch tells of what is gone."""
    metadata = {**version.object["metadata"], "resourceVersion": str(revision)}
    return Version({**version.object, "metadata": metadata}, revision)


def namespace_of(obj: Object) -> str:
    """An object's namespace; empty for cluster-scoped ones."""
    namespace = obj["metadata"].get("namespace")
    return namespace if isinstance(namespace, str) else ""


def name_of(obj: Object) -> str:
    """An object's name."""
    name: str = obj["metadata"]["name"]
    return name


class Store:
    """Tables by (group, plural), and the revision they share."""

    def __init__(self) -> None:
        self.revision = 1
        self.tables: dict[tuple[str, str], Table] = {}
        self.listeners: list[Callable[[tuple[str, str], Event], None]] = []

    def advance(self) -> int:
        """The next revision."""
        self.revision += 1
        return self.revision

    def table(self, group: str, plural: str) -> Table:
        """The table of one resource, made on first use."""
        key = (group, plural)
        table = self.tables.get(key)
        if table is None:
            table = self.tables[key] = Table(self, compacted=self.revision)
            table.listeners.append(lambda event: self._tell(key, event))
        return table

    def drop(self, group: str, plural: str) -> None:
        """Forget an empty table of a kind that is no longer served."""
        table = self.tables.pop((group, plural), None)
        for ended in tuple(table.on_drop) if table else ():
            ended()

    def _tell(self, key: tuple[str, str], event: Event) -> None:
        for listener in tuple(self.listeners):
            listener(key, event)
