"""Lists and histories, from memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from switchboard.log import cursors
from switchboard.log.records import Conversation, Execution, Message, Page, Query
from switchboard.log.resources.index import Index
from switchboard.log.resources.objects import KeptConversation
from switchboard.log.resources.thread import Thread
from switchboard.log.transitions import beginning

T = TypeVar("T")


class Reading:
    """Reads."""

    def __init__(self, index: Index, agent: str | None) -> None:
        self._index = index
        self._agent = agent

    def conversation(self, name: str) -> Conversation | None:
        """As the protocol says."""
        kept = self._index.conversations.get(name)
        return current(self._index.thread(name), kept) if kept else None

    def execution(self, name: str) -> Execution | None:
        """As the protocol says."""
        kept = self._index.executions.get(name)
        return kept.record if kept else None

    def history(self, conversation: str, *, before: int | None, limit: int) -> Sequence[Message]:
        """As the protocol says."""
        thread = self._index.threads.get(conversation)
        records = [kept.record for kept in thread.messages] if thread else []
        if before is not None:
            records = [record for record in records if record.sequence < before]
        return records[-limit:]

    def undelivered(self, connector: str, *, since: datetime, until: datetime, limit: int) -> Sequence[Message]:
        """As the protocol says."""
        found = [
            kept.record
            for kept in self._index.messages.values()
            if kept.record.direction == "Outbound"
            and kept.connector == connector
            and since <= kept.record.time < until
            and kept.record.state == "Sent"
            and not (kept.record.delivery and kept.record.delivery.final)
        ]
        return sorted(found, key=lambda record: (record.time, record.name))[:limit]

    def conversations(self, query: Query, *, cursor: str | None, limit: int) -> Page[Conversation]:
        """As the protocol says."""
        found = (current(thread, thread.conversation) for thread in self._chosen(query) if thread.conversation)
        return _page(found, lambda item: (item.last_message_time or item.created, item.name), query, cursor, limit)

    def messages(self, query: Query, *, cursor: str | None, limit: int) -> Page[Message]:
        """As the protocol says."""
        found = (kept.record for thread in self._chosen(query) for kept in thread.messages)
        return _page(found, lambda item: (item.time, f"{item.sequence:020}.{item.name}"), query, cursor, limit)

    def executions(self, query: Query, *, cursor: str | None, limit: int) -> Page[Execution]:
        """As the protocol says."""
        found = (kept.record for thread in self._chosen(query) for kept in thread.executions)
        return _page(found, lambda item: (item.start_time, item.name), query, cursor, limit)

    def _chosen(self, query: Query) -> Iterable[Thread]:
        if query.conversation is not None:
            thread = self._index.threads.get(query.conversation)
            threads: Iterable[Thread] = [thread] if thread else []
        else:
            threads = list(self._index.threads.values())
        agent = query.agent or self._agent
        wanted = {
            "agent": agent,
            "provider": query.provider,
            "connector": query.connector,
            "channel": query.channel,
            "contact": query.contact,
        }
        asked = {key: value for key, value in wanted.items() if value is not None}
        for thread in threads:
            kept = thread.conversation
            if kept is not None and all(getattr(kept.record, key) == value for key, value in asked.items()):
                yield thread


def current(thread: Thread, kept: KeptConversation) -> Conversation:
    """A conversation with what its status does not say yet."""
    record = kept.record
    last = thread.last_message
    turns = [execution for execution in thread.executions if execution.number]
    names = [message.contact_name for message in thread.messages if message.contact_name]
    return Conversation(
        name=record.name,
        agent=record.agent,
        connector=record.connector,
        provider=record.provider,
        channel=record.channel,
        contact=record.contact,
        created=record.created,
        revision=turns[-1].record.revision if turns else record.revision,
        contact_name=names[-1] if names else record.contact_name,
        opted_out=record.opted_out,
        messages=len(thread.messages),
        last_message_time=thread.ended_at() if last else None,
        last_message=beginning(last.record.body, len(last.record.media)) if last else None,
    )


def _page(
    found: Iterable[T],
    key: Callable[[T], tuple[datetime, str]],
    query: Query,
    cursor: str | None,
    limit: int,
) -> Page[T]:
    after = cursors.decode(cursor) if cursor else None
    chosen = []
    for item in found:
        at = key(item)
        if query.since is not None and at[0] < query.since:
            continue
        if query.until is not None and at[0] >= query.until:
            continue
        if after is None or at < after:
            chosen.append((at, item))
    chosen.sort(key=lambda pair: pair[0], reverse=True)
    more = len(chosen) > limit
    page = chosen[:limit]
    return Page([item for _, item in page], cursors.encode(*page[-1][0]) if more else None)
