"""Strangers: one AccessRequest each, one message to say so, and what follows when a person has decided."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from switchboard.api.access import AccessRequest, AccessRequestSpec, Decision
from switchboard.api.meta import LABEL_AGENT, LABEL_CONNECTOR
from switchboard.kube.client import KubeApi
from switchboard.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from switchboard.kube.resources import ACCESS_REQUESTS, Object
from switchboard.log.errors import LogError
from switchboard.log.protocol import ConversationLog
from switchboard.log.records import Reply
from switchboard.providers.base import InboundMessage
from switchboard.webhook import metrics
from switchboard.webhook.access import Door, Verdict
from switchboard.webhook.connectors import Connector, Connectors
from switchboard.webhook.intake import Taken
from switchboard.webhook.requests import Asker, Decisions

log = logging.getLogger(__name__)

ASK_SECONDS = 4.0
"""How long Twilio is kept waiting for a stranger's AccessRequest: its own patience is 15 seconds with retries."""
ANNOUNCEMENT = "onboarding"


def request_name(key: bytes, connector_uid: str, contact: str) -> str:
    """The AccessRequest's name: the same from every pod, and without the number. `key` is the namespace's."""
    return f"acr-{hmac.digest(key, f'{connector_uid}/{contact}'.encode(), hashlib.sha256).hex()[:32]}"


@dataclass(slots=True)
class _Seen:
    """What a contact wrote since its request's status was last written."""

    messages: int = 0
    first: datetime | None = None
    last: datetime | None = None
    name: str | None = None
    onboarded: bool = False
    tried: tuple[int, Object] | None = None
    """The messages and the status of a write that failed: it may have been done all the same."""


@dataclass(slots=True)
class Onboarding:
    """Lets people decide who may write, and acts on it."""

    kube: KubeApi
    conversations: ConversationLog
    connectors: Connectors
    decisions: Decisions
    namespace: str
    key: bytes
    """Of the names that stand for contacts."""
    agent: str
    revision: Callable[[], str]
    """The revision that announcements are sent by."""
    _decided: dict[Asker, Decision] = field(default_factory=dict)
    _doors: dict[str, Door] = field(default_factory=dict)
    _seen: dict[Asker, _Seen] = field(default_factory=dict)
    _work: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.decisions.on_decided = self._on_decided

    async def ask(self, connector: Connector, message: InboundMessage, taken: Taken) -> None:
        """Makes the sender's AccessRequest, unless there is one, and has the onboarding message sent once.

        Raises:
            KubeError, LogError, TimeoutError: it may not be there. The request's sender shall try again.
        """
        asker = Asker(connector.name, message.sender)
        request = self.decisions.find(asker)
        if request is None and not self.decisions.may_ask(asker, connector.max_pending, time.monotonic()):
            metrics.ACCESS_REQUESTS.labels(connector.label, "full").inc()
            log.warning("too many wait for approval: one more is not asked for", extra={"connector": connector.name})
            return
        onboarded = request is not None and request.status.onboarded
        new = not taken.recorded.duplicate or request is None
        try:
            async with asyncio.timeout(ASK_SECONDS):
                if request is None:
                    await self._create(connector, asker)
                if connector.onboarding_message and not onboarded:
                    await self._announce(connector, message, taken.recorded.conversation)
                    onboarded = True
        finally:  # when it is tried again it is a duplicate, which does not count
            if new and self.decisions.find(asker) is not None:
                self._count(asker, message, onboarded=onboarded)
            self._reconsider_one(asker)

    def _reconsider_one(self, asker: Asker) -> None:
        """It may have been decided while the message was on its way into the log, where nobody found it to settle."""
        connector = self.connectors.by_name.get(asker.connector)
        decision = self.decisions.decision(asker.connector, asker.contact)
        if connector is not None and connector.door.decide(asker.contact, decision) is not Verdict.HOLD:
            self._on_decided(asker, decision or "Pending")

    async def _create(self, connector: Connector, asker: Asker) -> None:
        spec = AccessRequestSpec(connector=asker.connector, contact=asker.contact)
        body: Object = {
            "metadata": {
                "name": request_name(self.key, connector.uid, asker.contact),
                "namespace": self.namespace,
                "labels": {LABEL_AGENT: self.agent, LABEL_CONNECTOR: asker.connector[:63].rstrip("-.")},
            },
            "spec": spec.manifest(),
        }
        try:
            made = await self.kube.create(ACCESS_REQUESTS, body)
        except AlreadyExists:
            metrics.ACCESS_REQUESTS.labels(connector.label, "exists").inc()
            return
        metrics.ACCESS_REQUESTS.labels(connector.label, "created").inc()
        self.decisions.put(AccessRequest.model_validate(made))
        log.info(
            "a stranger asks to be let in", extra={"connector": asker.connector, "request": body["metadata"]["name"]}
        )

    async def _announce(self, connector: Connector, message: InboundMessage, conversation: str) -> None:
        reply = Reply(connector.number or message.recipient, message.sender, connector.onboarding_message)
        await self.conversations.announce(conversation, ANNOUNCEMENT, reply, revision=self.revision())

    def _count(self, asker: Asker, message: InboundMessage, *, onboarded: bool) -> None:
        seen = self._seen.setdefault(asker, _Seen())
        seen.messages += 1
        seen.last = datetime.now(UTC)
        seen.first = seen.first or seen.last
        seen.name = message.contact_name[:200] or seen.name
        seen.onboarded = seen.onboarded or onboarded
        self._work.set()

    def _on_decided(self, asker: Asker, decision: Decision) -> None:
        self._decided[asker] = decision
        self._work.set()

    def reconsider(self) -> None:
        """A connector's policy changed: who waits may be let in, or turned away, without a person."""
        doors = {name: connector.door for name, connector in self.connectors.by_name.items()}
        changed = {name for name, door in doors.items() if self._doors.get(name) != door}
        self._doors = doors
        for asker in self.decisions.askers():
            if asker.connector in changed:
                self._decided[asker] = self.decisions.decision(asker.connector, asker.contact) or "Pending"
        self._work.set()

    async def run(self) -> None:
        """Acts on decisions and keeps the requests' statuses; never ends."""
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                await self._settle()
                await self._report()
            except (KubeError, LogError) as error:
                log.warning("access is not settled yet", extra={"error": str(error)})
                self._work.set()
                await asyncio.sleep(1)

    async def _settle(self) -> None:
        for asker, decision in list(self._decided.items()):
            connector = self.connectors.by_name.get(asker.connector)
            if connector is not None:
                verdict = connector.door.decide(asker.contact, None if decision == "Pending" else decision)
                if verdict is Verdict.ADMIT:
                    released = await self.conversations.release_held(asker.connector, asker.contact)
                    if released:
                        log.info(
                            "a contact was let in", extra={"connector": asker.connector, "messages": len(released)}
                        )
                elif verdict is Verdict.REFUSE and decision == "Rejected":
                    await self.conversations.refuse_held(asker.connector, asker.contact)
            request = self.decisions.find(asker)
            if request is not None and decision != "Pending" and request.status.decided_time is None:
                self._seen.setdefault(asker, _Seen())
            if self._decided.get(asker) == decision:
                del self._decided[asker]

    async def _report(self) -> None:
        for asker in list(self._seen):
            seen = self._seen.pop(asker)
            try:
                await self._write(asker, seen)
            except KubeError:
                self._merge(asker, seen)
                raise

    def _merge(self, asker: Asker, seen: _Seen) -> None:
        newer = self._seen.get(asker)
        if newer is not None:
            seen.messages += newer.messages
            seen.last, seen.name = newer.last, newer.name or seen.name
            seen.onboarded = seen.onboarded or newer.onboarded
        self._seen[asker] = seen

    async def _write(self, asker: Asker, seen: _Seen) -> None:
        known = self.decisions.find(asker)
        if known is None:
            return
        name = known.metadata.name
        for _ in range(5):
            try:
                found = await self.kube.get(ACCESS_REQUESTS, name, self.namespace)
                current = AccessRequest.model_validate(found)
                if seen.tried is not None and seen.tried[1].items() <= found.get("status", {}).items():
                    seen.messages -= seen.tried[0]  # only its answer was lost
                status = self._status(current, seen)
                seen.tried = seen.messages, status
                patch: Object = {
                    "metadata": {"resourceVersion": current.metadata.resource_version},
                    "status": status,
                }
                await self.kube.merge_patch(ACCESS_REQUESTS, name, self.namespace, patch, subresource="status")
            except Conflict:
                continue
            except NotFound:
                return
            return

    def _status(self, current: AccessRequest, seen: _Seen) -> dict[str, object]:
        status: dict[str, object] = {
            "messages": current.status.messages + seen.messages,
            "onboarded": current.status.onboarded or seen.onboarded,
        }
        if seen.first and current.status.first_message_time is None:
            status["firstMessageTime"] = _rfc3339(seen.first)
        if seen.last:
            status["lastMessageTime"] = _rfc3339(seen.last)
        if seen.name:
            status["contactName"] = seen.name
        if current.spec.decision != "Pending" and current.status.decided_time is None:
            status["decidedTime"] = _rfc3339(datetime.now(UTC))
        return status


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
