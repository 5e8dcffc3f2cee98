"""What the API server has, in memory: fed by watches and by our own writes, whichever comes first."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from datetime import datetime

from switchboard.kube.resources import CONVERSATIONS, EXECUTIONS, MESSAGES, Object, ResourceType
from switchboard.log.resources.objects import (
    KeptConversation,
    KeptExecution,
    KeptMessage,
    read_conversation,
    read_execution,
    read_message,
)
from switchboard.log.resources.thread import Thread

log = logging.getLogger(__name__)

GONE_MAX = 10_000
"""Deleted objects that are remembered: more than are deleted within a watch's delay, or a webhook's patience."""


class Index:
    """All records of one Agent, or of a namespace. A version never replaces a newer one."""

    def __init__(self) -> None:
        self.conversations: dict[str, KeptConversation] = {}
        self.messages: dict[str, KeptMessage] = {}
        self.executions: dict[str, KeptExecution] = {}
        self.threads: dict[str, Thread] = {}
        self.sent: dict[str, str] = {}
        """Names of outbound messages by the provider's id."""
        self.work: dict[str, datetime] = {}
        """Conversations with work, and since or from when it may be claimed."""
        self._gone: dict[tuple[str, str], tuple[str, float]] = {}
        """What was deleted, by kind and name: its uid, and the version of it that is no news any more."""
        self.heard = 0
        """The newest version of a message that the watch brought: it has brought all older ones."""
        self.changed: Callable[[], None] = lambda: None
        """Called when there may be work that was not there before."""

    def thread(self, conversation: str) -> Thread:
        """A conversation's records, none of which need be there yet."""
        thread = self.threads.get(conversation)
        if thread is None:
            thread = self.threads[conversation] = Thread(conversation)
        return thread

    def put(self, resource: ResourceType, obj: Object) -> None:
        """An object as the API server gave it. Late news of one that is gone is none."""
        metadata = obj["metadata"]
        uid, version = self._gone.get((resource.plural, metadata["name"]), ("", 0.0))
        if uid and uid == metadata.get("uid") and int(metadata["resourceVersion"]) <= version:
            return
        try:
            if resource is MESSAGES:
                self._put_message(read_message(obj))
            elif resource is EXECUTIONS:
                self._put_execution(read_execution(obj))
            else:
                self._put_conversation(read_conversation(obj))
        except ValueError as error:
            name = obj.get("metadata", {}).get("name")
            log.warning("an object is not readable and is left alone", extra={"object": name, "error": str(error)})

    def hear(self, resource: ResourceType, objects: Iterable[Object]) -> None:
        """Objects that the watch brought, which are in here."""
        if resource is MESSAGES:
            self.heard = max([self.heard, *(int(one["metadata"]["resourceVersion"]) for one in objects)])

    def known(self, resource: ResourceType, name: str) -> tuple[str, int] | None:
        """uid and version of the object of this name that is here."""
        known = self._kept(resource).get(name)
        return (known.uid, known.version) if known is not None else None

    def gone(self, resource: ResourceType, name: str, uid: str, version: float = math.inf) -> None:
        """This very object was deleted; with `version`, that is the last news of it that is known to be old. That it
        was there is remembered. Another of its name may be there by now."""
        if uid:
            self._gone.pop((resource.plural, name), None)
            self._gone[resource.plural, name] = uid, version
            if len(self._gone) > GONE_MAX:
                del self._gone[next(iter(self._gone))]
        kept = self._kept(resource).get(name)
        if kept is not None and kept.uid == uid:
            self.remove(resource, name, version)

    def had(self, message: str) -> bool:
        """Whether a message of this name is here, or was until lately."""
        return message in self.messages or (MESSAGES.plural, message) in self._gone

    def remove(self, resource: ResourceType, name: str, version: float = math.inf) -> None:
        """An object is not there; with `version`, unless a newer one is known."""
        known = self._kept(resource).get(name)
        if known is None or known.version > version:
            return
        if resource is MESSAGES:
            message = self.messages.pop(name)
            self.sent.pop(message.record.provider_message_id or "", None)
            self.thread(message.record.conversation).remove_message(name)
            self._settle(message.record.conversation)
        elif resource is EXECUTIONS:
            execution = self.executions.pop(name)
            self.thread(execution.record.conversation).remove_execution(name)
            self._settle(execution.record.conversation)
        else:
            del self.conversations[name]
            self.thread(name).conversation = None
            self._settle(name)

    def sync(self, resource: ResourceType, items: Iterable[Object], version: int) -> None:
        """All objects that there were at `version`; what we have made since, while we were being told, is no less."""
        objects = {str(item["metadata"]["name"]): item for item in items}
        for name in self._kept(resource).keys() - objects.keys():
            self.remove(resource, name, version)
        for item in objects.values():
            self.put(resource, item)

    def next_due(self, now: datetime) -> datetime | None:
        """When the next conversation becomes claimable that was not at `now`."""
        return min((at for at in self.work.values() if at > now), default=None)

    def _kept(
        self, resource: ResourceType
    ) -> dict[str, KeptConversation] | dict[str, KeptMessage] | dict[str, KeptExecution]:
        if resource is MESSAGES:
            return self.messages
        return self.executions if resource is EXECUTIONS else self.conversations

    def _put_conversation(self, kept: KeptConversation) -> None:
        name = kept.record.name
        known = self.conversations.get(name)
        if known is None or known.version < kept.version:
            self.conversations[name] = kept
            self.thread(name).conversation = kept
            self._settle(name)

    def _put_message(self, kept: KeptMessage) -> None:
        record = kept.record
        known = self.messages.get(record.name)
        if known is not None and known.version >= kept.version:
            return
        self.messages[record.name] = kept
        if record.direction == "Outbound" and record.provider_message_id:
            self.sent[record.provider_message_id] = record.name
        self.thread(record.conversation).put_message(kept)
        self._settle(record.conversation)

    def _put_execution(self, kept: KeptExecution) -> None:
        known = self.executions.get(kept.record.name)
        if known is not None and known.version >= kept.version:
            return
        self.executions[kept.record.name] = kept
        self.thread(kept.record.conversation).put_execution(kept)
        self._settle(kept.record.conversation)

    def _settle(self, conversation: str) -> None:
        thread = self.threads[conversation]
        if thread.empty:
            del self.threads[conversation]
        ready = thread.ready_at()
        before = self.work.get(conversation)
        if ready is None:
            self.work.pop(conversation, None)
        elif ready != before:
            self.work[conversation] = ready
            self.changed()


__all__ = ["CONVERSATIONS", "EXECUTIONS", "MESSAGES", "Index"]
