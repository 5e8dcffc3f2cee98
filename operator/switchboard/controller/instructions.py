"""ConfigMaps that instructions are read from: each is watched by its name, as long as an Agent names it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import aclosing

from switchboard.controller.queue import Key
from switchboard.kube.client import KubeApi
from switchboard.kube.errors import NotFound
from switchboard.kube.resources import CONFIG_MAPS

ConfigMap = tuple[str, str]
"""Namespace and name."""


class Instructions:
    """Reads instructions, and has an Agent reconciled again when they change."""

    def __init__(self, api: KubeApi, enqueue: Callable[[Key], None]) -> None:
        self._api = api
        self._enqueue = enqueue
        self._readers: dict[ConfigMap, set[Key]] = {}
        self._watches: dict[ConfigMap, asyncio.Task[None]] = {}

    async def read(self, key: Key, name: str) -> dict[str, str] | None:
        """The data of the ConfigMap that an Agent names; None if there is none."""
        source = (key.namespace, name)
        self._only(key, source)
        if source not in self._watches:
            self._watches[source] = asyncio.create_task(self._watch(source), name=f"instructions {source}")
        try:
            found = await self._api.get(CONFIG_MAPS, name, key.namespace)
        except NotFound:
            return None
        data: dict[str, str] = found.get("data") or {}
        return data

    def forget(self, key: Key) -> None:
        """An Agent names no ConfigMap any more."""
        self._only(key, None)

    async def close(self) -> None:
        """Ends all watches."""
        tasks, self._watches = list(self._watches.values()), {}
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)

    def _only(self, key: Key, source: ConfigMap | None) -> None:
        for other in [other for other, readers in self._readers.items() if key in readers and other != source]:
            self._readers[other].discard(key)
            if not self._readers[other]:
                del self._readers[other]
                if (task := self._watches.pop(other, None)) is not None:
                    task.cancel()
        if source is not None:
            self._readers.setdefault(source, set()).add(key)

    async def _watch(self, source: ConfigMap) -> None:
        namespace, name = source
        stream = self._api.watch(CONFIG_MAPS, namespace, field_selector=f"metadata.name={name}")
        async with aclosing(stream) as events:
            async for _ in events:
                for key in self._readers.get(source, ()):
                    self._enqueue(key)
