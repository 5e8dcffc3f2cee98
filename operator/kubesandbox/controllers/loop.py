"""The level-triggered loop that every controller runs in: keys, deduplicated, one worker a key, back-off on errors."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from kubesandbox.client import ApiError, Cache, Client, Key, Recorder, Resource

log = logging.getLogger(__name__)

FIRST_DELAY = 0.05
LONGEST_DELAY = 30.0
WORKERS = 5


class Queue:
    """Keys to reconcile. A key that is added while it is worked on is worked on once more afterwards."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._waiting: set[Key] = set()
        self._busy: set[Key] = set()
        self._again: set[Key] = set()
        self._later: dict[Key, asyncio.TimerHandle] = {}
        self._delays: dict[Key, float] = {}

    def add(self, key: Key) -> None:
        if key in self._busy:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Add the key in `seconds`, unless it is due earlier already."""
        loop = asyncio.get_running_loop()
        held = self._later.get(key)
        due = loop.time() + max(seconds, 0.0)
        if held is not None and held.when() <= due:
            return
        if held is not None:
            held.cancel()
        self._later[key] = loop.call_at(due, self._due, key)

    def failed(self, key: Key) -> None:
        """Add the key again after its back-off."""
        delay = self._delays.get(key, FIRST_DELAY)
        self._delays[key] = min(delay * 2, LONGEST_DELAY)
        self.add_after(key, delay)

    def succeeded(self, key: Key) -> None:
        self._delays.pop(key, None)

    async def take(self) -> Key:
        key = await self._ready.get()
        self._waiting.discard(key)
        self._busy.add(key)
        return key

    def done(self, key: Key) -> None:
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _due(self, key: Key) -> None:
        self._later.pop(key, None)
        self.add(key)


async def work(name: str, queue: Queue, reconcile: Callable[[Key], Awaitable[None]]) -> None:
    """Reconcile keys for ever."""

    async def worker() -> None:
        while True:
            key = await queue.take()
            try:
                await reconcile(key)
            except ApiError as error:
                level = logging.DEBUG if error.conflict or error.not_found or error.code >= 500 else logging.WARNING
                log.log(level, "%s %s/%s: %s", name, *key, error)
                queue.failed(key)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                log.debug("%s %s/%s: %s", name, *key, error)
                queue.failed(key)
            except Exception:
                log.exception("%s %s/%s: this is a bug", name, *key)
                queue.failed(key)
            else:
                queue.succeeded(key)
            finally:
                queue.done(key)

    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(worker())


@dataclass(slots=True)
class Shared:
    """What all controllers use: the client, and one cache a kind."""

    client: Client
    recorders: dict[str, Recorder]
    caches: dict[Resource, Cache]

    def cache(self, resource: Resource) -> Cache:
        if resource not in self.caches:
            self.caches[resource] = Cache(self.client, resource)
        return self.caches[resource]

    def recorder(self, component: str) -> Recorder:
        if component not in self.recorders:
            self.recorders[component] = Recorder(self.client, component)
        return self.recorders[component]

    async def synced(self) -> None:
        """Wait until every cache has been filled once."""
        for cache in list(self.caches.values()):
            await cache.synced.wait()
