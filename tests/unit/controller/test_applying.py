"""What is deleted is what was looked at; a conflict says that it may be there still.

What an answer brings besides, no watch brings again: it is passed on.
"""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.controller.applying import Applier
from switchboard.controller.store import Store
from switchboard.kube import resources
from switchboard.kube.errors import Conflict, KubeError, NotFound, Unavailable


class Api:
    """A cluster that has `there`, and finds a conflict, or another error, with whatever is to be deleted."""

    def __init__(self, there: dict[str, Any] | None, error: KubeError | None = None) -> None:
        self.there = there
        self.error = error or Conflict("the object has been modified")
        self.asked: list[dict[str, Any]] = []

    async def get(self, *_: Any) -> dict[str, Any]:
        if self.there is None:
            raise NotFound("gone")
        return self.there

    async def apply(self, _: Any, obj: dict[str, Any], **options: Any) -> dict[str, Any]:
        made = self.there or {"metadata": {"uid": "u1", "resourceVersion": "1"}, "status": {}}
        return {**made, **obj, "metadata": {**made["metadata"], **obj["metadata"]}}

    async def delete(self, *_: Any, **preconditions: Any) -> None:
        self.asked.append(preconditions)
        raise self.error


def revision(version: str, uid: str = "u1") -> dict[str, Any]:
    owner = {"kind": "Agent", "name": "support", "uid": "a1"}
    metadata = {"name": "support-v1", "namespace": "acme", "uid": uid, "resourceVersion": version}
    return {"metadata": {**metadata, "ownerReferences": [owner]}}


def applier(api: Api) -> tuple[Applier, Store]:
    store = Store()
    store.put(resources.AGENT_REVISIONS, revision("7"))
    return Applier(api, store, instance="operator"), store  # type: ignore[arg-type]


async def remove(made: Applier, *, if_unchanged: bool, owner: str | None = "a1") -> bool:
    return await made.remove(resources.AGENT_REVISIONS, "acme", "support-v1", owner=owner, if_unchanged=if_unchanged)


@pytest.mark.parametrize("if_unchanged", [True, False])
@pytest.mark.parametrize("version", ["7", "8"])
async def test_what_could_not_be_deleted_stays_known_and_is_tried_again(version: str, if_unchanged: bool) -> None:
    api = Api(revision(version))
    made, store = applier(api)
    with pytest.raises(Conflict):
        await remove(made, if_unchanged=if_unchanged)
    assert api.asked == [{"uid": "u1", "resource_version": "7" if if_unchanged else None}]
    assert store.get(resources.AGENT_REVISIONS, "acme", "support-v1") == revision(version)


async def test_what_could_not_be_deleted_stays_known_whatever_was_said() -> None:
    made, store = applier(Api(revision("7"), Unavailable("etcdserver: leader changed")))
    with pytest.raises(Unavailable):
        await remove(made, if_unchanged=False)
    assert store.get(resources.AGENT_REVISIONS, "acme", "support-v1") == revision("7")


async def test_what_somebody_else_has_is_left_alone() -> None:
    api = Api(revision("7"))
    made, _ = applier(api)
    assert not await remove(made, if_unchanged=False, owner="another")
    assert api.asked == []
    with pytest.raises(Conflict):
        await remove(made, if_unchanged=False, owner=None)


@pytest.mark.parametrize("error", [Conflict("changed"), NotFound("gone"), Unavailable("etcdserver: request timed out")])
async def test_what_went_meanwhile_or_with_a_lost_answer_is_forgotten(error: KubeError) -> None:
    made, store = applier(Api(None, error))
    told = []
    made.wrote = lambda _, old, new: told.append((old, new))
    assert await remove(made, if_unchanged=True)
    assert store.get(resources.AGENT_REVISIONS, "acme", "support-v1") is None
    assert told == [(revision("7"), None)]


async def test_another_of_the_same_name_is_left_alone_and_known() -> None:
    made, store = applier(Api(revision("9", uid="u2")))
    assert await remove(made, if_unchanged=False)
    assert store.get(resources.AGENT_REVISIONS, "acme", "support-v1") == revision("9", uid="u2")


def deployment(image: str = "one") -> dict[str, Any]:
    owner = {"apiVersion": "v1", "kind": "Agent", "name": "support", "uid": "a1", "controller": True}
    metadata = {"name": "support-v1", "namespace": "acme", "ownerReferences": [owner]}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"image": image}}


def standing(version: str, available: int, image: str = "one") -> dict[str, Any]:
    made = deployment(image)
    made["metadata"] |= {"uid": "u1", "resourceVersion": version}
    return made | {"status": {"availableReplicas": available}}


def listening(api: Api, *known: dict[str, Any]) -> tuple[Applier, list[tuple[Any, Any]]]:
    store = Store()
    for obj in known:
        store.put(resources.DEPLOYMENTS, obj)
    made, told = Applier(api, store, instance="operator"), []  # type: ignore[arg-type]
    made.wrote = lambda _, old, new: told.append((old and old["status"], new and new["status"]))
    return made, told


async def test_what_is_found_made_already_is_news() -> None:
    """As after a write whose answer was lost: it may be available by now, and be told of no more."""
    made, told = listening(Api(standing("7", 1)))
    await made.ensure(resources.DEPLOYMENTS, deployment())
    assert told == [(None, {"availableReplicas": 1})]


async def test_what_came_to_be_before_a_write_is_news() -> None:
    made, told = listening(Api(standing("9", 1)), standing("7", 0))
    assert await made.ensure(resources.DEPLOYMENTS, deployment("two"))
    assert told == [({"availableReplicas": 0}, {"availableReplicas": 1})]


async def test_what_only_we_wrote_is_no_news() -> None:
    made, told = listening(Api(None))
    assert await made.ensure(resources.DEPLOYMENTS, deployment())
    assert told == []
    made, told = listening(Api(standing("9", 1)), standing("7", 1))
    assert await made.ensure(resources.DEPLOYMENTS, deployment("two"))
    assert told == []
