"""kopf, in a thread and an event loop of its own.

In ours it would take over the signals and, at its end, wait for and then cancel every task that it did not find when it
began (`kopf.operator`, 1.45: "hung tasks"), our reconciling among them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import kopf

from switchboard.kube.resources import Object, ResourceType
from switchboard.settings import OperatorSettings

log = logging.getLogger(__name__)

Seen = Callable[[ResourceType, str | None, Object], None]
"""Takes in an event: the type, what happened (None for what is listed at the start), the object."""
Known = Callable[[ResourceType, Object], bool]
"""Whether an object's very version is known already. Asked in kopf's thread."""


class Kopf:
    """Watches resource types and hands on each event, in the loop that started it."""

    def __init__(self, resources: Sequence[ResourceType], settings: OperatorSettings, seen: Seen, known: Known) -> None:
        self._resources = resources
        self._settings = settings
        self._seen = seen
        self._known = known
        self._stop = threading.Event()
        self._inbox: deque[tuple[ResourceType, str | None, Object]] = deque()

    async def run(self) -> None:
        """Runs until it is cancelled. Raises what kopf ended with."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def work() -> None:
            try:
                asyncio.run(self._operate(loop))
            except Exception as error:  # noqa: BLE001 - handed on to who waits
                _end(loop, ended, error)
            else:
                _end(loop, ended, None)

        thread = threading.Thread(target=work, name="kopf", daemon=True)
        thread.start()
        try:
            await ended
        finally:
            self._stop.set()
            await asyncio.to_thread(thread.join, 5.0)

    async def _operate(self, loop: asyncio.AbstractEventLoop) -> None:
        # Each event is told at INFO, with all of kopf's settings as extra fields.
        logging.getLogger("kopf").setLevel(logging.WARNING)
        logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)  # warns of signals, which are ours
        registry = kopf.OperatorRegistry()
        for resource in self._resources:
            self._handle(registry, resource, loop)
        kopf.on.login(registry=registry)(_login)
        settings = kopf.OperatorSettings()
        # A worker keeps its place for `idle_timeout` after its last event: with a limit, it has to be short.
        settings.queueing.worker_limit = 20
        settings.queueing.idle_timeout = 0.01
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.persistence.diffbase_storage = _NoDiffs()
        settings.persistence.progress_storage = _NoProgress()
        settings.watching.server_timeout = 290
        settings.networking.request_timeout = self._settings.request_seconds
        try:
            await kopf.operator(
                registry=registry,
                settings=settings,
                standalone=True,
                clusterwide=not self._settings.namespaces,
                namespaces=self._settings.namespaces,
                stop_flag=self._stop,
            )
        finally:
            # kopf waits for the flag in a thread, and the end of the loop for that thread: a failure would not be told.
            self._stop.set()

    def _handle(self, registry: Any, resource: ResourceType, loop: asyncio.AbstractEventLoop) -> None:
        def news(event: Any, **_: Any) -> bool:
            # Most events are echoes of our own writes. To call a handler for each costs kopf more than all the rest.
            return event["type"] == "DELETED" or not self._known(resource, event["object"])

        # on.event alone: no finalizer, no annotation, no progress is kept on the object.
        @kopf.on.event(
            resource.group, resource.version, resource.plural, registry=registry, id=resource.plural, when=news
        )
        async def seen(event: Any, **_: Any) -> None:
            # One call wakes the other loop for all that comes until it looks: waking it is what costs.
            self._inbox.append((resource, event["type"], event["object"]))
            if len(self._inbox) == 1:
                loop.call_soon_threadsafe(self._take, loop)

    def _take(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hands on what came, in our loop. Nothing is left behind: whoever adds to an empty inbox wakes us again."""
        try:
            while self._inbox:
                self._seen(*self._inbox.popleft())
        finally:
            if self._inbox:
                loop.call_soon(self._take, loop)


class _NoDiffs(kopf.DiffBaseStorage):
    """No handler of ours asks what changed. kopf builds its answer for every event: three deep copies of the object."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        """Keeps nothing."""


class _NoProgress(kopf.ProgressStorage):
    """No handler of ours has progress: nothing is read from an object, and nothing kept on it."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        """Keeps nothing."""

    def purge(self, **_: Any) -> None:
        """Has nothing to remove."""

    def touch(self, **_: Any) -> None:
        """Has nothing to touch."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def _end(loop: asyncio.AbstractEventLoop, ended: asyncio.Future[None], error: Exception | None) -> None:
    def tell() -> None:
        if ended.done():
            return
        if error is not None:
            ended.set_exception(error)
        else:
            ended.set_result(None)

    if not loop.is_closed():
        loop.call_soon_threadsafe(tell)


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """How kopf reaches the API server: as the rest of us does."""
    if os.environ.get("KUBECONFIG"):
        return kopf.login_with_kubeconfig(**kwargs) or kopf.login_via_client(**kwargs)
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
