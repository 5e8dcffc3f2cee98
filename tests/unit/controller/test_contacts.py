"""The key of contacts' names: made once in a namespace, found again, never changed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from switchboard.api.runtime import CONTACTS_KEY, CONTACTS_SECRET
from switchboard.controller.contacts import LOOK_AGAIN, Contacts
from switchboard.kube.errors import AlreadyExists, Cause, Forbidden, NotFound
from switchboard.kube.resources import Object
from switchboard.reconcile.outcome import Problem


@dataclass
class Api:
    """A cluster that holds Secrets, and counts what it is asked."""

    there: dict[str, Object] = field(default_factory=dict)
    meanwhile: Object | None = None
    """What somebody else makes between our look and our own making."""
    refuses: Exception | None = None
    gets: int = 0
    creates: int = 0

    async def get(self, _: Any, name: str, namespace: str) -> Object:
        self.gets += 1
        assert name == CONTACTS_SECRET
        if namespace not in self.there:
            raise NotFound("there is none")
        return self.there[namespace]

    async def create(self, _: Any, obj: Object) -> Object:
        self.creates += 1
        if self.refuses is not None:
            raise self.refuses
        namespace = obj["metadata"]["namespace"]
        if self.meanwhile is not None:
            self.there[namespace] = self.meanwhile
        if namespace in self.there:
            raise AlreadyExists("it is there")
        self.there[namespace] = {**obj, "metadata": {**obj["metadata"], "uid": f"uid-{self.creates}"}}
        return self.there[namespace]


@dataclass
class Context:
    """As much of the operator's as is needed."""

    api: Api
    time: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def opened() -> Callable[..., tuple[Contacts, Context]]:
    def make(**options: Any) -> tuple[Contacts, Context]:
        context = Context(Api(**options))
        return Contacts(context), context  # type: ignore[arg-type]

    return make


def secret(uid: str, **data: str) -> Object:
    return {"metadata": {"name": CONTACTS_SECRET, "namespace": "acme", "uid": uid}, "data": data}


Opened = Callable[..., tuple[Contacts, Context]]


async def test_each_namespace_gets_a_random_key_of_its_own_which_stays(opened: Opened) -> None:
    made, context = opened()
    assert await made.ensure("acme") == "uid-1"
    assert await made.ensure("beta") == "uid-2"
    keys = {base64.b64decode(kept["data"][CONTACTS_KEY]) for kept in context.api.there.values()}
    assert len(keys) == 2
    assert all(len(key) == 64 for key in keys)
    assert all(kept["immutable"] for kept in context.api.there.values())
    assert all("switchboard.dev/use" not in kept["metadata"]["labels"] for kept in context.api.there.values())
    another = Contacts(context)  # type: ignore[arg-type]
    assert await another.ensure("acme") == "uid-1", "another operator, or this one started again"
    assert context.api.creates == 2


async def test_it_is_looked_at_seldom_and_made_anew_if_somebody_deleted_it(opened: Opened) -> None:
    made, context = opened()
    await made.ensure("acme")
    context.api.there.clear()
    gets = context.api.gets
    assert await made.ensure("acme") == "uid-1"
    assert context.api.gets == gets
    context.time += LOOK_AGAIN + timedelta(seconds=1)
    assert await made.ensure("acme") == "uid-2"
    made.forget("acme")
    assert await made.ensure("acme") == "uid-2"
    assert context.api.gets == gets + 2


async def test_what_another_operator_makes_at_the_same_time_is_taken(opened: Opened) -> None:
    made, context = opened(meanwhile=secret("theirs", key="a2V5"))
    assert await made.ensure("acme") == "theirs"
    assert context.api.creates == 1


async def test_a_secret_of_that_name_without_the_key_is_told_and_left_alone(opened: Opened) -> None:
    made, context = opened(there={"acme": secret("theirs", password="cGFzcw==")})
    problem = await made.ensure("acme")
    assert isinstance(problem, Problem)
    assert problem.reason == "NameTaken"
    assert "switchboard-contacts" in problem.message
    assert context.api.creates == 0
    context.api.there["acme"] = secret("good", key="a2V5")
    assert await made.ensure("acme") == "good", "at once"


async def test_a_namespace_that_ends_gets_none_and_other_refusals_are_told(opened: Opened) -> None:
    ending = Forbidden("is being terminated", causes=[Cause("", "", "NamespaceTerminating")])
    made, context = opened(refuses=ending)
    assert await made.ensure("acme") == ""
    context.api.refuses = Forbidden("secrets is forbidden")
    with pytest.raises(Forbidden, match="secrets is forbidden"):
        await made.ensure("acme")
