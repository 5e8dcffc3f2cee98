"""What a pod holds of the API server: the newest version of each object, and no object that is gone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from switchboard.kube.errors import NotFound
from switchboard.kube.resources import CONVERSATIONS, EXECUTIONS, MESSAGES, Object, ResourceType
from switchboard.log.records import Inbound
from switchboard.log.resources import objects
from switchboard.log.resources.index import Index
from switchboard.log.resources.store import Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANN = "+15005550001"


def inbound() -> Inbound:
    given: dict[str, Any] = {"provider": "twilio", "account": "AC", "message_id": "SM1", "state": "Waiting"}
    return Inbound(
        **given, connector="sms", channel="SMS", contact=ANN, sender=ANN, recipient="+15005550006", body="hi"
    )


def conversation(version: int, name: str = "c-1") -> Object:
    made = objects.new_conversation("acme", "support", name, inbound())
    made["metadata"]["resourceVersion"] = str(version)
    return made


def message(version: int, name: str = "in-1", *, of: str = "c-1", **status: Any) -> Object:
    made = objects.new_inbound(
        "acme", "support", name=name, conversation=of, inbound=inbound(), state="Waiting", now=NOW, sequence=1
    )
    made["metadata"]["resourceVersion"] = str(version)
    return made | ({"status": status} if status else {})


def execution(version: int, name: str = "c-1-1") -> Object:
    spec = {"agent": "support", "revision": "v1", "conversation": "c-1", "messages": ["in-1"]}
    return {"metadata": {"name": name, "namespace": "acme", "resourceVersion": str(version)}, "spec": spec}


def known(obj: Object, uid: str) -> Object:
    return obj | {"metadata": obj["metadata"] | {"uid": uid}}


MAKERS = {CONVERSATIONS.plural: conversation, MESSAGES.plural: message, EXECUTIONS.plural: execution}
ALL = pytest.mark.parametrize("resource", [CONVERSATIONS, MESSAGES, EXECUTIONS], ids=lambda one: one.plural)


@ALL
def test_an_older_version_never_replaces_a_newer_one(resource: ResourceType) -> None:
    index, make = Index(), MAKERS[resource.plural]
    for version, kept in ((5, 5), (4, 5), (5, 5), (6, 6)):
        made = make(version)
        index.put(resource, made)
        assert [one.version for one in index._kept(resource).values()] == [kept]


@ALL
def test_what_a_new_listing_does_not_name_is_gone_and_what_it_names_is_there(resource: ResourceType) -> None:
    index, make = Index(), MAKERS[resource.plural]
    names = {
        CONVERSATIONS.plural: ("c-1", "c-2"),
        MESSAGES.plural: ("in-1", "in-2"),
        EXECUTIONS.plural: ("c-1-1", "c-1-2"),
    }
    gone, stays = names[resource.plural]
    index.put(resource, make(1, gone))
    index.sync(resource, [make(2, stays)], 3)
    assert list(index._kept(resource)) == [stays]
    index.sync(resource, [], 4)
    assert not index._kept(resource)
    assert not index.threads
    assert not index.work


@ALL
def test_what_was_made_while_a_listing_was_under_way_stays(resource: ResourceType) -> None:
    index, make = Index(), MAKERS[resource.plural]
    index.put(resource, make(7))
    index.sync(resource, [], 6)
    assert [one.version for one in index._kept(resource).values()] == [7]
    index.sync(resource, [], 8)
    assert not index._kept(resource)


def test_a_message_whose_execution_is_not_there_is_in_work_until_somebody_has_asked_for_it() -> None:
    index = Index()
    index.put(MESSAGES, message(1, state="Working", execution="c-1-4"))
    thread = index.thread("c-1")
    assert [one.record.state for one in thread.messages] == ["Working"]
    assert [one.record.name for one in thread.orphans()] == ["in-1"]
    assert thread.busy
    index.put(EXECUTIONS, execution(2, "c-1-4"))
    assert not thread.orphans()


def test_a_turn_is_not_called_as_one_whose_messages_were_left_behind() -> None:
    index = Index()
    index.put(MESSAGES, message(1, state="Answered", execution="c-1-4"))
    assert index.thread("c-1").last_number == 4
    index.put(EXECUTIONS, execution(2, "c-1-5"))
    assert index.thread("c-1").last_number == 5


@ALL
def test_a_late_deletion_of_an_older_object_leaves_the_one_that_was_made_anew(resource: ResourceType) -> None:
    index, make = Index(), MAKERS[resource.plural]
    made = make(7)
    name = made["metadata"]["name"]
    index.put(resource, made)
    index.remove(resource, name, version=6)
    assert name in index._kept(resource)
    index.remove(resource, name, version=8)
    assert name not in index._kept(resource)
    index.remove(resource, name)


@ALL
def test_late_news_of_what_was_deleted_is_none_and_another_of_its_name_is_there(resource: ResourceType) -> None:
    index, make = Index(), MAKERS[resource.plural]
    index.put(resource, known(make(5), "one"))
    name = make(5)["metadata"]["name"]
    index.gone(resource, name, "one")
    index.put(resource, known(make(6), "one"))
    index.sync(resource, [known(make(6), "one")], 6)
    assert not index._kept(resource)
    index.put(resource, known(make(9), "two"))
    assert index.known(resource, name) == ("two", 9)
    index.gone(resource, name, "one", 8)
    assert index.known(resource, name) == ("two", 9)


@ALL
def test_what_a_watch_calls_deleted_may_be_told_of_again(resource: ResourceType) -> None:
    """As when somebody takes a label away, and puts it there again."""
    index, make = Index(), MAKERS[resource.plural]
    name = make(5)["metadata"]["name"]
    index.put(resource, known(make(5), "one"))
    index.gone(resource, name, "one", 6)
    index.put(resource, known(make(6), "one"))
    assert not index._kept(resource)
    index.put(resource, known(make(7), "one"))
    assert index.known(resource, name) == ("one", 7)


@ALL
async def test_what_was_not_found_is_left_if_it_came_while_it_was_asked_for(resource: ResourceType) -> None:
    index, make = Index(), MAKERS[resource.plural]
    made = known(make(5), "one")
    name = made["metadata"]["name"]

    class Api:
        """Answers before it is made, and the watch brings it before the answer."""

        async def get(self, *_: object) -> Object:
            index.put(resource, made)
            raise NotFound("not there", status=404)

        async def delete(self, *_: object, **__: object) -> None:
            await self.get()

        async def merge_patch(self, *_: object, **__: object) -> Object:
            return await self.get()

    store = Store(cast("Any", Api()), "acme", index)
    assert not await store.refresh(resource, name)
    assert index.known(resource, name) == ("one", 5)
    index.gone(resource, name, "one", 6)
    made = known(make(8), "two")
    assert await store.delete(resource, name) is None
    assert not await store.patch(resource, name, 7, {})
    assert index.known(resource, name) is None
    index.put(resource, known(make(8), "two"))
    assert index.known(resource, name) is None
    index.put(resource, known(make(9), "two"))  # it was not gone: nobody deleted it
    assert index.known(resource, name) == ("two", 9)


def test_a_message_that_was_here_is_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switchboard.log.resources.index.GONE_MAX", 2)
    index = Index()
    for number in range(4):
        name = f"in-{number}"
        index.put(MESSAGES, known(message(number + 1, name), name))
        assert index.had(name)
        index.gone(MESSAGES, name, name)
    assert [index.had(f"in-{number}") for number in range(4)] == [False, False, True, True]
    assert not index.had("in-9")


def test_what_waits_is_work_until_it_is_taken_away_and_each_change_of_it_is_told() -> None:
    index, told = Index(), list[int]()
    index.changed = lambda: told.append(len(index.work))
    index.put(MESSAGES, message(1))
    assert (list(index.work), told) == (["c-1"], [1])
    index.put(MESSAGES, message(2, state="Waiting"))
    assert told == [1]
    index.put(MESSAGES, message(3, state="Ignored"))
    assert not index.work
    assert index.next_due(NOW) is None


def test_what_falls_due_next_is_the_first_after_now() -> None:
    index = Index()
    for second, name in enumerate(("c-1", "c-2", "c-3")):
        index.work[name] = NOW.replace(second=second)
    assert index.next_due(NOW) == NOW.replace(second=1)
    assert index.next_due(NOW.replace(second=2)) is None


def test_an_object_that_nobody_can_read_is_left_out_and_harms_no_other() -> None:
    index = Index()
    broken = message(1)
    del broken["spec"]["conversation"]
    index.sync(MESSAGES, [broken, message(2, "in-2")], 3)
    assert list(index.messages) == ["in-2"]
