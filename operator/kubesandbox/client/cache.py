"""A local copy of one kind, kept by list and watch, that reads its own writes."""

import asyncio
import copy
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import aiohttp

from kubesandbox.client.http import ApiError, Client
from kubesandbox.client.resources import Key, Object, Resource, key_of, owner_of

log = logging.getLogger(__name__)

FIRST_DELAY = 0.05
LONGEST_DELAY = 10.0


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one object: `old` is None when it is new, `new` is None when it is gone."""

    old: Object | None
    new: Object | None

    @property
    def current(self) -> Object:
        """The newest we know of it."""
        current = self.new if self.new is not None else self.old
        if current is None:
            raise ValueError("a change has at least one side")
        return current


class Cache:
    """Objects of one kind by (namespace, name).

    A watch may lag behind what we ourselves wrote. `remember` puts a write's answer into the copy at once, and an event
    that is older than what is held changes nothing: so a controller never acts twice on one decision. This is what
    kube-controller-manager's expectations are for.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        namespace: str = "",
        selectors: Mapping[str, str] | None = None,
    ) -> None:
        self.resource = resource
        self._client = client
        self._namespace = namespace
        self._selectors = dict(selectors or {})
        self._objects: dict[Key, Object] = {}
        self._by_namespace: dict[str, dict[Key, Object]] = {}
        self._by_owner: dict[str, dict[Key, Object]] = {}  # by the controller's uid, "" for those without
        self._listeners: list[Callable[[Change], None]] = []
        self._gone: dict[str, float] = {}  # uids that we saw go, so that a late answer does not bring them back
        self.synced = asyncio.Event()

    def get(self, namespace: str, name: str) -> Object | None:
        return self._objects.get((namespace, name))

    def all(self, namespace: str | None = None) -> Iterator[Object]:
        """Every object, or those of one namespace. Do not change them: copy first."""
        objects = self._objects if namespace is None else self._by_namespace.get(namespace, {})
        return iter(list(objects.values()))

    def owned_by(self, uid: str) -> Iterator[Object]:
        """The objects whose controller has this uid."""
        return iter(list(self._by_owner.get(uid, {}).values()))

    def orphans(self, namespace: str) -> Iterator[Object]:
        """The objects of a namespace that have no controller."""
        return (obj for key, obj in list(self._by_owner.get("", {}).items()) if key[0] == namespace)

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` at every change, and now for everything that is already held."""
        self._listeners.append(listener)
        for obj in self.all():
            listener(Change(None, obj))

    def remember(self, obj: Object) -> None:
        """Take in what the server answered to a write of ours."""
        if obj.get("kind") == self.resource.kind and obj["metadata"]["uid"] not in self._gone:
            self._put(obj)

    def forget(self, obj: Object) -> None:
        """The server said that the object is being deleted or is gone: no longer count it as living."""
        held = self._objects.get(key_of(obj))
        if held is None or held["metadata"]["uid"] != obj["metadata"]["uid"]:
            return
        if held["metadata"].get("deletionTimestamp"):
            return
        marked = copy.deepcopy(held)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        marked["metadata"]["deletionTimestamp"] = now
        self._put(marked)

    async def run(self) -> None:
        """List, then watch, for ever: resuming where a watch ended, listing again on 410, backing off on errors."""
        delay = FIRST_DELAY
        version: str | None = None
        while True:
            started = time.monotonic()
            try:
                if version is None:
                    version = await self._relist()
                    self.synced.set()
                    delay = FIRST_DELAY
                started = time.monotonic()
                version = await self._follow(version)
                if time.monotonic() - started > 1:
                    delay = FIRST_DELAY
            except _WatchError as broke:
                # It told something, or was open for a while, before it broke: no reason to hold back.
                if broke.version != version or time.monotonic() - started > 1:
                    delay = FIRST_DELAY
                version = broke.version
                log.debug("watch of %s: %s", self.resource.plural, broke)
            except ApiError as error:
                if error.expired:
                    version = None
                    continue
                log.warning("cannot read %s: %s", self.resource.plural, error)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                log.debug("cannot read %s: %s", self.resource.plural, error)
            await asyncio.sleep(delay * random.uniform(0.5, 1))
            delay = min(delay * 2, LONGEST_DELAY)

    async def _relist(self) -> str:
        items, version = await self._client.list(self.resource, self._namespace, selectors=self._selectors)
        present = set()
        for item in items:
            present.add(key_of(item))
            self._put(item)
        for key, held in list(self._objects.items()):
            if key not in present and _version(held) <= int(version):
                self._remove(key)
        return version

    async def _follow(self, version: str) -> str:
        try:
            async for event, obj in self._client.watch(
                self.resource,
                self._namespace,
                resource_version=version,
                selectors=self._selectors,
                timeout_seconds=random.randint(240, 480),
            ):
                version = obj["metadata"]["resourceVersion"]
                if event == "BOOKMARK":
                    continue
                if event == "DELETED":
                    self._deleted(obj)
                else:
                    self._put(obj)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _WatchError(version, error) from error
        return version

    def _put(self, obj: Object) -> None:
        key = key_of(obj)
        old = self._objects.get(key)
        if old is not None and _version(obj) < _version(old):
            return
        if old is not None and old["metadata"]["uid"] != obj["metadata"]["uid"]:
            self._remove(key)
            old = None
        if old is not None and _version(obj) == _version(old) and old == obj:
            return
        if old is not None and _version(obj) == _version(old) and old["metadata"].get("deletionTimestamp"):
            return
        if old is not None:
            self._unindex(key, old)
        self._objects[key] = obj
        self._by_namespace.setdefault(key[0], {})[key] = obj
        self._by_owner.setdefault(_owner(obj), {})[key] = obj
        self._tell(Change(old, obj))

    def _deleted(self, obj: Object) -> None:
        key = key_of(obj)
        self._gone[obj["metadata"]["uid"]] = time.monotonic()
        while len(self._gone) > 1000:
            del self._gone[next(iter(self._gone))]
        held = self._objects.get(key)
        # A selector's watch says DELETED when an object no longer matches; one that was made anew stays.
        if held is not None and (held["metadata"]["uid"] == obj["metadata"]["uid"] or _version(held) <= _version(obj)):
            self._unindex(key, held)
            self._objects[key] = obj
            self._remove(key)

    def _remove(self, key: Key) -> None:
        old = self._objects.pop(key, None)
        self._by_namespace.get(key[0], {}).pop(key, None)
        if old is not None:
            self._unindex(key, old)
            self._tell(Change(old, None))

    def _unindex(self, key: Key, obj: Object) -> None:
        owner = _owner(obj)
        owned = self._by_owner.get(owner, {})
        owned.pop(key, None)
        if not owned:
            self._by_owner.pop(owner, None)

    def _tell(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)


class _WatchError(Exception):
    """The stream ended with an error; what was read until then counts."""

    def __init__(self, version: str, error: Exception) -> None:
        super().__init__(str(error))
        self.version = version


def _owner(obj: Object) -> str:
    owner = owner_of(obj)
    return owner["uid"] if owner is not None else ""


def _version(obj: Object) -> int:
    # resourceVersions of one kind may be compared as integers: KEP-5504, and always so with etcd behind.
    return int(obj["metadata"]["resourceVersion"])
