"""What is deleted is what was looked at; a conflict says that it may be there still."""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.controller.applying import Applier
from switchboard.controller.store import Store
from switchboard.kube import resources
from switchboard.kube.errors import Conflict, NotFound


class Api:
    """A cluster that has `there`, and finds a conflict with whatever is to be deleted."""

    def __init__(self, there: dict[str, Any] | None) -> None:
        self.there = there
        self.asked: list[dict[str, Any]] = []

    async def get(self, *_: Any) -> dict[str, Any]:
        if self.there is None:
            raise NotFound("gone")
        return self.there

    async def delete(self, *_: Any, **preconditions: Any) -> None:
        self.asked.append(preconditions)
        raise Conflict("the object has been modified")


def revision(version: str, uid: str = "u1") -> dict[str, Any]:
    return {"metadata": {"name": "support-v1", "namespace": "acme", "uid": uid, "resourceVersion": version}}


def applier(api: Api) -> tuple[Applier, Store]:
    store = Store()
    store.put(resources.AGENT_REVISIONS, revision("7"))
    return Applier(api, store, instance="operator"), store  # type: ignore[arg-type]


async def remove(made: Applier, *, if_unchanged: bool) -> bool:
    return await made.remove(resources.AGENT_REVISIONS, "acme", "support-v1", if_unchanged=if_unchanged)


@pytest.mark.parametrize("if_unchanged", [True, False])
@pytest.mark.parametrize("version", ["7", "8"])
async def test_what_could_not_be_deleted_stays_known_and_is_tried_again(version: str, if_unchanged: bool) -> None:
    api = Api(revision(version))
    made, store = applier(api)
    with pytest.raises(Conflict):
        await remove(made, if_unchanged=if_unchanged)
    assert api.asked == [{"uid": "u1", "resource_version": "7" if if_unchanged else None}]
    assert store.get(resources.AGENT_REVISIONS, "acme", "support-v1") == revision(version)


async def test_what_went_meanwhile_is_forgotten() -> None:
    made, store = applier(Api(None))
    told = []
    made.wrote = lambda _, old, new: told.append((old, new))
    assert await remove(made, if_unchanged=True)
    assert store.get(resources.AGENT_REVISIONS, "acme", "support-v1") is None
    assert told == [(revision("7"), None)]


async def test_another_of_the_same_name_is_left_alone_and_known() -> None:
    made, store = applier(Api(revision("9", uid="u2")))
    assert await remove(made, if_unchanged=False)
    assert store.get(resources.AGENT_REVISIONS, "acme", "support-v1") == revision("9", uid="u2")
