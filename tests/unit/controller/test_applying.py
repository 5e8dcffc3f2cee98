"""What is deleted is what was looked at; a conflict says that it may be there still.

What an answer brings besides, no watch brings again: it is passed on.
"""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.controller.applying import Applier, NotOurs, check_owner
from switchboard.controller.store import Store
from switchboard.kube import resources
from switchboard.kube.errors import Conflict, Invalid, KubeError, NotFound, Unavailable
from switchboard.reconcile.compare import ANNOTATION_APPLIED, stamped


class Api:
    """A cluster that has `there`, and finds a conflict, or another error, with whatever is to be deleted."""

    def __init__(
        self, there: dict[str, Any] | None, error: KubeError | None = None, refusal: KubeError | None = None
    ) -> None:
        self.there = there
        self.error: KubeError | None = error or Conflict("the object has been modified")
        self.refusal = refusal
        self.asked: list[dict[str, Any]] = []
        self.applied: list[str | None] = []
        """The uids that were applied to."""

    async def get(self, *_: Any) -> dict[str, Any]:
        if self.there is None:
            raise NotFound("gone")
        return self.there

    async def apply(self, _: Any, obj: dict[str, Any], **options: Any) -> dict[str, Any]:
        self.applied.append(obj["metadata"].get("uid"))
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            raise refusal
        made = self.there or {"metadata": {"uid": "u1", "resourceVersion": "1"}, "status": {}}
        return {**made, **obj, "metadata": {**made["metadata"], **obj["metadata"]}}

    async def delete(self, *_: Any, **preconditions: Any) -> None:
        self.asked.append(preconditions)
        if self.error is not None:
            raise self.error


def revision(version: str, uid: str = "u1") -> dict[str, Any]:
    owner = {"kind": "Agent", "name": "support", "uid": "a1", "controller": True}
    metadata = {"name": "support-v1", "namespace": "acme", "uid": uid, "resourceVersion": version}
    return {"metadata": {**metadata, "ownerReferences": [owner]}}


def applier(api: Api) -> tuple[Applier, Store]:
    store = Store()
    store.put(resources.AGENT_REVISIONS, revision("7"))
    return Applier(api, store, instance="operator"), store  # type: ignore[arg-type]


async def remove(made: Applier, *, if_unchanged: bool, owner: str = "a1") -> bool:
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


async def test_what_lives_as_long_as_ours_and_is_controlled_by_nobody_is_left_alone() -> None:
    api = Api(None)
    made, store = applier(api)
    found = revision("8")
    del found["metadata"]["ownerReferences"][0]["controller"]
    store.put(resources.AGENT_REVISIONS, found)
    assert not await remove(made, if_unchanged=False)
    assert api.asked == []


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


async def test_what_is_as_wanted_is_not_written_and_is_known_to_be_settled() -> None:
    wanted = stamped(deployment())
    there = {**wanted, "metadata": {**wanted["metadata"], "uid": "u1", "resourceVersion": "7"}, "status": {}}
    api, store = Api(there), Store()
    made = Applier(api, store, instance="operator")  # type: ignore[arg-type]
    digest = wanted["metadata"]["annotations"][ANNOTATION_APPLIED]
    for _ in range(2):
        assert not await made.ensure(resources.DEPLOYMENTS, deployment())
        assert store.settled(resources.DEPLOYMENTS, "acme", "support-v1") == digest
    assert api.applied == []


async def test_what_was_written_is_settled_and_not_written_again() -> None:
    api, store = Api(None), Store()
    made = Applier(api, store, instance="operator")  # type: ignore[arg-type]
    assert await made.ensure(resources.DEPLOYMENTS, deployment())
    assert store.settled(resources.DEPLOYMENTS, "acme", "support-v1") is not None
    assert not await made.ensure(resources.DEPLOYMENTS, deployment())
    assert await made.ensure(resources.DEPLOYMENTS, deployment("two"))
    assert api.applied == [None, "u1"]


async def test_what_is_written_is_what_was_looked_at_and_nothing_else_of_its_name() -> None:
    api = Api(None)
    made, _ = listening(api, standing("7", 1))
    assert await made.ensure(resources.DEPLOYMENTS, deployment("two"))
    assert api.applied == ["u1"]


def somebodys() -> dict[str, Any]:
    """Of our name, and made after we looked."""
    found = standing("9", 1)
    found["metadata"] |= {"uid": "u2", "ownerReferences": []}
    return found


@pytest.mark.parametrize("refusal", [Invalid("metadata.uid: field is immutable"), Conflict("uid mismatch")])
async def test_another_one_of_its_name_by_now_is_not_written_and_the_next_pass_sees_it(refusal: KubeError) -> None:
    api = Api(somebodys(), refusal=refusal)
    made, _ = listening(api, standing("7", 1))
    with pytest.raises(Conflict):
        await made.ensure(resources.DEPLOYMENTS, deployment("two"))
    with pytest.raises(NotOurs, match="belongs to nobody"):
        await made.ensure(resources.DEPLOYMENTS, deployment("two"))
    assert api.applied == ["u1"]


async def test_what_is_not_valid_is_told_and_stays_known() -> None:
    made, _ = listening(Api(standing("7", 1), refusal=Invalid("spec.image: Required value")), standing("7", 1))
    with pytest.raises(Invalid, match="Required"):
        await made.ensure(resources.DEPLOYMENTS, deployment("two"))


def binding() -> dict[str, Any]:
    return {**deployment("two"), "kind": "RoleBinding"}


async def test_a_binding_to_another_role_is_made_anew_and_only_ours_is_deleted_for_it() -> None:
    api = Api(standing("7", 1), refusal=Invalid("roleRef: cannot change roleRef"))
    api.error = None
    store = Store()
    store.put(resources.ROLE_BINDINGS, standing("7", 1))
    made = Applier(api, store, instance="operator")  # type: ignore[arg-type]
    assert await made.ensure(resources.ROLE_BINDINGS, binding())
    assert api.asked == [{"uid": "u1"}]
    assert api.applied == ["u1", None]


async def test_somebodys_binding_that_came_meanwhile_is_not_deleted() -> None:
    api = Api(somebodys(), refusal=Invalid("metadata.uid: field is immutable"))
    store = Store()
    store.put(resources.ROLE_BINDINGS, standing("7", 1))
    made = Applier(api, store, instance="operator")  # type: ignore[arg-type]
    with pytest.raises(Conflict):
        await made.ensure(resources.ROLE_BINDINGS, binding())
    assert api.asked == []


def test_what_an_earlier_owner_of_the_name_left_passes() -> None:
    left = standing("7", 1)
    left["metadata"]["ownerReferences"] = [{**left["metadata"]["ownerReferences"][0], "uid": "a0"}]
    with pytest.raises(NotOurs, match="earlier Agent support") as caught:
        check_owner(deployment(), left)
    assert caught.value.passing
    with pytest.raises(NotOurs, match="belongs to nobody") as caught:
        check_owner(deployment(), somebodys())
    assert not caught.value.passing
