"""What may change while a pod runs, watched: which revision is live, the connectors, and who was let in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from pydantic import ValidationError

from switchboard.api.access import AccessRequest
from switchboard.api.connector import TwilioConnector
from switchboard.api.runtime import WebhookConfig
from switchboard.kube.client import KubeApi, Synced
from switchboard.kube.resources import ACCESS_REQUESTS, AGENTS, TWILIO_CONNECTORS, Object, ResourceType
from switchboard.webhook import metrics
from switchboard.webhook.connectors import Connectors
from switchboard.webhook.requests import Decisions

log = logging.getLogger(__name__)


class Live:
    """The watched state. What was last seen goes on to count while the API server is away."""

    def __init__(self, kube: KubeApi, config: WebhookConfig, *, connectors: Connectors, decisions: Decisions) -> None:
        self._kube = kube
        self._namespace = config.namespace
        self._agent = config.agent
        self._revision = config.revision
        self._connectors = connectors
        self._decisions = decisions
        self._unsynced = {"agents", "twilioconnectors", "accessrequests"}
        self.live_revision: str | None = None
        """The revision that the Agent's status names; None while nothing is live."""
        self.synced = asyncio.Event()
        self.on_live: Callable[[], None] = lambda: None
        """Called when another revision became live."""

    @property
    def unsynced(self) -> frozenset[str]:
        """The resources that were never listed yet."""
        return frozenset(self._unsynced)

    @property
    def live(self) -> bool:
        """Whether this pod's revision takes turns."""
        return self.live_revision == self._revision

    async def watch_agent(self) -> None:
        """Follows the Agent; never ends."""
        selector = f"metadata.name={self._agent}"
        async with aclosing(self._kube.watch(AGENTS, self._namespace, field_selector=selector)) as events:
            async for event in events:
                if isinstance(event, Synced):
                    self._set_live(event.items[0] if event.items else None)
                    self._synced(AGENTS)
                else:
                    self._set_live(None if event.kind == "DELETED" else event.object)

    def _set_live(self, agent: Object | None) -> None:
        status = (agent or {}).get("status") or {}
        revision = status.get("liveRevision")
        if revision == self.live_revision and self.synced.is_set():
            return
        self.live_revision = revision
        metrics.LIVE.set(1 if self.live else 0)
        log.info("the live revision is known", extra={"live": revision, "revision": self._revision})
        self.on_live()

    async def watch_connectors(self) -> None:
        """Follows the namespace's connectors; never ends."""
        async with aclosing(self._kube.watch(TWILIO_CONNECTORS, self._namespace)) as events:
            async for event in events:
                if isinstance(event, Synced):
                    self._connectors.replace(filter(None, map(_connector, event.items)))
                    self._synced(TWILIO_CONNECTORS)
                elif event.kind == "DELETED":
                    self._connectors.remove(event.object["metadata"]["name"])
                elif (connector := _connector(event.object)) is not None:
                    self._connectors.put(connector)
                else:
                    self._connectors.remove(event.object["metadata"]["name"])

    async def watch_requests(self) -> None:
        """Follows the namespace's AccessRequests; never ends."""
        async with aclosing(self._kube.watch(ACCESS_REQUESTS, self._namespace)) as events:
            async for event in events:
                if isinstance(event, Synced):
                    self._decisions.replace(filter(None, map(_request, event.items)))
                    self._synced(ACCESS_REQUESTS)
                elif event.kind == "DELETED":
                    self._decisions.remove(event.object["metadata"]["name"])
                elif (request := _request(event.object)) is not None:
                    self._decisions.put(request)
                else:
                    self._decisions.remove(event.object["metadata"]["name"])

    def _synced(self, resource: ResourceType) -> None:
        self._unsynced.discard(resource.plural)
        if not self._unsynced:
            self.synced.set()


def _connector(item: Object) -> TwilioConnector | None:
    try:
        return TwilioConnector.model_validate(item)
    except ValidationError as error:
        _tell_unreadable(item, error)
        return None


def _request(item: Object) -> AccessRequest | None:
    try:
        return AccessRequest.model_validate(item)
    except ValidationError as error:
        _tell_unreadable(item, error)
        return None


def _tell_unreadable(item: Object, error: ValidationError) -> None:
    fields = ", ".join(".".join(map(str, each["loc"])) for each in error.errors(include_input=False))
    log.warning(
        "an object cannot be read: it counts as absent",
        extra={"kind": item.get("kind"), "object": item["metadata"]["name"], "fields": fields},
    )
