"""Events as Kubernetes' own components write them: told once, counted when they repeat."""

import asyncio
import logging
import time
from collections import OrderedDict

import aiohttp

from kubesandbox.client.http import ApiError, Client
from kubesandbox.client.resources import EVENTS, Object

log = logging.getLogger(__name__)

REMEMBERED = 2048


class Recorder:
    """Writes Events in the background. What cannot be written is logged and dropped, as the real recorder does."""

    def __init__(self, client: Client, component: str, host: str = "") -> None:
        self._client = client
        self._component = component
        self._host = host
        self._queue: asyncio.Queue[tuple[Object, str, str, str, str]] = asyncio.Queue(maxsize=1000)
        self._told: OrderedDict[tuple[str, str, str, str, str], Object] = OrderedDict()
        self._serial = time.time_ns()

    def normal(self, obj: Object, reason: str, message: str, *, field: str = "") -> None:
        self._enqueue(obj, "Normal", reason, message, field)

    def warning(self, obj: Object, reason: str, message: str, *, field: str = "") -> None:
        self._enqueue(obj, "Warning", reason, message, field)

    async def run(self) -> None:
        while True:
            await self._write(*await self._queue.get())

    def _enqueue(self, obj: Object, kind: str, reason: str, message: str, field: str) -> None:
        try:
            self._queue.put_nowait((obj, kind, reason, message[:1024], field))
        except asyncio.QueueFull:
            log.warning("Event dropped, too many are waiting: %s", reason)

    async def _write(self, obj: Object, kind: str, reason: str, message: str, field: str) -> None:
        key = (obj["metadata"].get("uid", ""), field, kind, reason, message)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        try:
            earlier = self._told.get(key)
            if earlier is not None and await self._count(earlier, now):
                return
            event = self._event(obj, now) | {"type": kind, "reason": reason, "message": message}
            if field:
                event["involvedObject"]["fieldPath"] = field
            await self._client.create(EVENTS, event)
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            log.debug("Event %s of %s not written: %s", reason, obj["metadata"].get("name"), error)
        else:
            self._told[key] = event
            while len(self._told) > REMEMBERED:
                self._told.popitem(last=False)

    async def _count(self, earlier: Object, now: str) -> bool:
        """Count the Event once more; False when it is gone and has to be written anew."""
        patch: Object = {"count": earlier["count"] + 1, "lastTimestamp": now}
        metadata = earlier["metadata"]
        try:
            await self._client.patch(EVENTS, metadata["namespace"], metadata["name"], patch)
        except ApiError as error:
            if error.not_found:
                return False
            raise
        earlier.update(patch)
        return True

    def _event(self, obj: Object, now: str) -> Object:
        metadata = obj["metadata"]
        self._serial += 1
        involved: Object = {
            "apiVersion": obj.get("apiVersion", ""),
            "kind": obj.get("kind", ""),
            "namespace": metadata.get("namespace", ""),
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
            "resourceVersion": metadata.get("resourceVersion", ""),
        }
        return {
            "metadata": {
                "name": f"{metadata['name']}.{self._serial:x}",
                "namespace": metadata.get("namespace") or "default",
            },
            "involvedObject": {name: value for name, value in involved.items() if value},
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": self._component, **({"host": self._host} if self._host else {})},
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }
