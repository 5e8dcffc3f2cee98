"""What stood at Twilio before us is kept in a Secret of the connector's own, and in nobody else's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.reconcile.samples import ACCOUNT, NUMBER_SID, URL, connector

from switchboard.controller.applying import NotOurs
from switchboard.controller.queue import Key
from switchboard.controller.records import Records
from switchboard.kube.errors import AlreadyExists, NotFound
from switchboard.kube.resources import Object
from switchboard.reconcile import release
from switchboard.reconcile.release import Record
from switchboard.reconcile.twilio import Carrier, Kind
from switchboard.reconcile.webhooks import Write

OLD, OLDER = "https://user:pass@old.example.com/sms", "https://older.example.com/sms"
SECOND = "PN" + "9" * 32


class Api:
    """A cluster that has at most one Secret, and remembers how it was written."""

    def __init__(self, there: Object | None = None) -> None:
        self.there = there
        self.calls: list[str] = []

    async def get(self, *_: Any) -> Object:
        self.calls.append("get")
        if self.there is None:
            raise NotFound("none")
        return self.there

    async def create(self, _: Any, obj: Object) -> Object:
        self.calls.append("create")
        if self.there is not None:
            raise AlreadyExists("there")
        self.there = {**obj, "metadata": {**obj["metadata"], "uid": "s1"}}
        return self.there

    async def apply(self, _: Any, obj: Object, **options: Any) -> Object:
        self.calls.append(f"apply to {obj['metadata'].get('uid')}")
        self.there = obj
        return obj


def records(api: Api) -> Records:
    return Records(SimpleNamespace(api=api))  # type: ignore[arg-type]


def write(url: str, sid: str = NUMBER_SID) -> Write:
    return Write("SMS", Carrier(Kind.NUMBER, sid, "+1", url), URL, False)


def urls(record: Record) -> list[str]:
    return [place.url for place in record.places]


def kept(api: Api) -> list[str]:
    assert api.there is not None
    return urls(release.read(api.there["data"]))


async def keep(made: Records, *asked: Write) -> None:
    await made.keep(connector(), ACCOUNT.sid, asked)


def owned(record: Record, **owner: Any) -> Object:
    """The Secret with that record, as the API server has it, of another owner if it is said so."""
    made: Any = release.secret(connector(), record)
    made["metadata"]["uid"] = "s1"
    made["metadata"]["ownerReferences"][0] |= owner
    return dict(made)


async def first_record() -> Record:
    api = Api()
    await keep(records(api), write(OLDER))
    assert api.there is not None
    return release.read(api.there["data"])


async def test_what_stands_there_is_kept_in_one_request_before_it_is_overwritten() -> None:
    api = Api()
    made = records(api)
    await keep(made, write(OLD))
    assert (api.calls, kept(api)) == (["create"], [OLD])
    await keep(made, write(OLD))
    assert api.calls == ["create"]
    assert urls(await made.read(connector())) == [OLD]


async def test_more_is_added_to_what_was_kept_before_a_restart() -> None:
    api = Api(owned(await first_record()))
    await keep(records(api), write(OLD, SECOND))
    assert kept(api) == [OLDER, OLD]
    assert api.calls[-1] == "apply to s1"


async def test_a_secret_that_went_is_made_again_from_memory() -> None:
    api = Api()
    made = records(api)
    await keep(made, write(OLDER))
    api.there = None
    await keep(made, write(OLD, SECOND))
    assert kept(api) == [OLDER, OLD]


FOREIGN: Any = {"metadata": {"name": "sms-previous-webhook", "namespace": "acme", "uid": "f"}, "data": {"mine": "eA=="}}


async def test_a_secret_of_somebody_else_is_neither_read_nor_written() -> None:
    api = Api(FOREIGN)
    made = records(api)
    assert await made.read(connector()) == Record()
    with pytest.raises(NotOurs, match="The Secret sms-previous-webhook exists"):
        await keep(made, write(OLD))
    assert api.there is FOREIGN


async def test_one_that_took_the_place_of_ours_is_not_written() -> None:
    api = Api()
    made = records(api)
    await keep(made, write(OLDER))
    api.there = FOREIGN
    with pytest.raises(NotOurs):
        await keep(made, write(OLD, SECOND))
    assert api.there is FOREIGN


@pytest.mark.parametrize(
    ("owner", "passing"),
    [
        ({"controller": False}, False),
        ({"uid": "uid-of-the-one-before"}, True),
        ({"kind": "Agent", "name": "support", "uid": "a"}, False),
    ],
    ids=["goes with ours only", "an earlier connector's", "an Agent's"],
)
async def test_only_what_the_connector_controls_is_its_own(owner: dict[str, Any], passing: bool) -> None:
    found = owned(await first_record(), **owner)
    api = Api(found)
    made = records(api)
    assert await made.read(connector()) == Record()
    with pytest.raises(NotOurs) as caught:
        await keep(made, write(OLD))
    assert caught.value.passing is passing
    assert api.there is found


async def test_what_is_forgotten_is_read_anew() -> None:
    api = Api()
    made = records(api)
    await keep(made, write(OLD))
    made.forget(Key("TwilioConnector", "acme", "sms"))
    api.there = None
    assert await made.read(connector()) == Record()
