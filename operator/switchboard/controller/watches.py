"""What is watched: what people write by kopf, what we made of it and the Secrets' metadata by watches of our own.

kopf's handlers only take in what was seen. It keeps nothing on the objects (that is what change handlers, timers and
daemons would do), and it does not tell what was deleted while a watch was away: a listing at an interval does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any

from switchboard.api.meta import LABEL_AGENT, LABEL_USE
from switchboard.controller.context import AGENT, Context
from switchboard.controller.kopfing import Kopf
from switchboard.controller.lull import BUSY_SECONDS
from switchboard.controller.queue import Key
from switchboard.controller.sweep import Sweep
from switchboard.controller.triggers import Triggers
from switchboard.kube import resources
from switchboard.kube.client import Synced
from switchboard.kube.errors import KubeError
from switchboard.kube.resources import Object, ResourceType

log = logging.getLogger(__name__)

OURS = (resources.AGENTS, resources.TWILIO_CONNECTORS)
MADE: tuple[ResourceType, ...] = (
    resources.AGENT_REVISIONS,
    resources.DEPLOYMENTS,
    resources.PODS,
    resources.SERVICES,
    resources.CONFIG_MAPS,
    resources.SERVICE_ACCOUNTS,
    resources.ROLE_BINDINGS,
    resources.PDBS,
    resources.HPAS,
)
RESYNC_SECONDS = 600.0
GATHER_SECONDS = 0.1
"""How long changes that come together are gathered."""
GATHER_BUSY_SECONDS = 3.0
"""The same while many objects wait: an Agent's connectors and pods then come one after another."""
GATHER_REST_SECONDS = BUSY_SECONDS
"""The same of how far its connectors are, until the last is connected: what it says of that is held back anyhow."""


class Watches:
    """Feeds the store, and the queue with what depends on each change."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._triggers = Triggers(context.store)
        context.applier.wrote = self._enqueue
        settings = context.settings
        route = {"Ingress": (resources.INGRESSES,), "HTTPRoute": (resources.HTTP_ROUTES,), "None": ()}[settings.route]
        self._made = (*MADE, *route)
        self._namespaces: tuple[str | None, ...] = tuple(settings.namespaces) or (None,)
        self._unlisted: list[tuple[ResourceType, str | None]] = []
        self._unsynced = {
            (resource.plural, namespace)
            for resource in (*self._made, resources.SECRETS)
            for namespace in self._namespaces
        }
        self.synced = asyncio.Event()
        """Set once everything was listed once."""

    # Our own kinds

    async def load(self) -> None:
        """Lists our own kinds: everything that is there is reconciled once, and what is gone is forgotten.

        After an error the next call goes on where it failed: a server that refuses now and then still gets done.
        """
        if not self._unlisted:
            self._unlisted = [(resource, namespace) for resource in OURS for namespace in self._namespaces]
        while self._unlisted:
            resource, namespace = self._unlisted[0]
            listing = await self._context.api.list(resource, namespace)
            before = {id(obj): obj for obj in self._context.store.all(resource, namespace)}
            for obj in self._context.store.replace(resource, namespace, listing.items):
                gone = id(obj) in before
                self._enqueue(resource, obj if gone else None, None if gone else obj)
            del self._unlisted[0]

    async def resync(self) -> None:
        """Repeats `load`, because a deletion may have been missed; never ends."""
        while True:
            await asyncio.sleep(RESYNC_SECONDS)
            try:
                await self.load()
            except KubeError as error:
                log.warning("the listing failed, the next is due later", extra={"error": str(error)})

    def _seen(self, resource: ResourceType, kind: str | None, obj: Object) -> None:
        obj = dict(obj)
        obj.setdefault("apiVersion", resource.api_version)
        obj.setdefault("kind", resource.kind)
        metadata = obj["metadata"] = dict(obj["metadata"])
        if kind == "DELETED":
            old = self._context.store.remove(resource, metadata.get("namespace", ""), metadata["name"], metadata["uid"])
            self._enqueue(resource, old, None)
            return
        old, news = self._context.store.put(resource, obj)
        if news:
            self._enqueue(resource, old, obj)

    def _enqueue(self, resource: ResourceType, old: Object | None, new: Object | None) -> None:
        try:
            keys = list(self._triggers.of(resource, old, new))
        except Exception:
            # Of a watch it would be the end, and of the operator: for all, because of what one object says.
            metadata = ((new or old) or {}).get("metadata", {})
            what = "/".join((resource.kind, metadata.get("namespace", ""), metadata.get("name", "")))
            log.exception("a change was not understood: this is a bug", extra={"object": what})
            return
        for key in keys:
            # An Agent's connectors and pods change together, and each only adds to what it says of them.
            together = key.kind == AGENT and resource in (resources.TWILIO_CONNECTORS, resources.PODS)
            self._context.enqueue(key, self._gather(resource, key, old, new) if together else 0.0)

    def _gather(self, resource: ResourceType, agent: Key, old: Object | None, new: Object | None) -> float:
        """Seconds that what an Agent's connectors and pods tell it is gathered."""
        if not self._context.busy():
            return GATHER_SECONDS
        if resource is resources.TWILIO_CONNECTORS and self._triggers.only_how_far(agent, old, new):
            return GATHER_REST_SECONDS
        return GATHER_BUSY_SECONDS

    # What we made, and Secrets

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """What has to run as long as the operator does."""
        return [
            Kopf(OURS, self._context.settings, self._seen, self._context.store.knows).run(),
            self.resync(),
            *([Sweep(self._context).run()] if self._context.settings.namespaces else ()),
            *(self._watch(resource, namespace) for namespace in self._namespaces for resource in self._made),
            *(self._watch_secrets(namespace) for namespace in self._namespaces),
        ]

    async def _watch(self, resource: ResourceType, namespace: str | None) -> None:
        store = self._context.store
        # Somebody else's AgentRevision takes a name away, labelled or not.
        selector = LABEL_AGENT if resource is not resources.AGENT_REVISIONS else ""
        async with aclosing(self._context.api.watch(resource, namespace, label_selector=selector)) as events:
            async for event in events:
                if isinstance(event, Synced):
                    for obj in store.replace(resource, namespace, event.items):
                        self._enqueue(resource, obj, None)
                    self._listed(resource, namespace)
                elif event.kind == "DELETED" or not store.knows(resource, event.object):  # most echo our own writes
                    self._seen(resource, event.kind, event.object)

    async def _watch_secrets(self, namespace: str | None) -> None:
        """Only the metadata of those that are labelled for use is ever sent to us."""
        secrets = self._context.secrets
        selector = f"{LABEL_USE}=true"
        stream = self._context.api.watch(resources.SECRETS, namespace, label_selector=selector, metadata_only=True)
        async with aclosing(stream) as events:
            async for event in events:
                changed: list[tuple[str, str]] = []
                if isinstance(event, Synced):
                    present = {(it["metadata"]["namespace"], it["metadata"]["name"]) for it in event.items}
                    for key in secrets.known(namespace):
                        if key not in present:
                            secrets.gone(*key)
                            changed.append(key)
                    changed += [
                        (it["metadata"]["namespace"], it["metadata"]["name"])
                        for it in event.items
                        if secrets.seen(it["metadata"])
                    ]
                    self._listed(resources.SECRETS, namespace)
                else:
                    metadata = event.object["metadata"]
                    if event.kind == "DELETED":
                        secrets.gone(metadata["namespace"], metadata["name"])
                        changed.append((metadata["namespace"], metadata["name"]))
                    elif secrets.seen(metadata):
                        changed.append((metadata["namespace"], metadata["name"]))
                for key in changed:
                    for dependent in self._triggers.secret(*key):
                        self._context.enqueue(dependent)

    def _listed(self, resource: ResourceType, namespace: str | None) -> None:
        self._unsynced.discard((resource.plural, namespace))
        if not self._unsynced:
            self.synced.set()
