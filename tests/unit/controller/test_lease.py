"""The Lease: who may write, and when that ends."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from switchboard.controller.lease import Lease, LeaseLost
from switchboard.kube.errors import AlreadyExists, Conflict, NotFound, Unavailable


class Api:
    """Holds one Lease, with versions as the API server has them."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.down = False

    def _up(self) -> None:
        if self.down:
            raise Unavailable("down")

    async def get(self, *_: Any) -> dict[str, Any]:
        self._up()
        if self.lease is None:
            raise NotFound("none")
        return copy.deepcopy(self.lease)

    async def create(self, _: Any, obj: dict[str, Any]) -> dict[str, Any]:
        self._up()
        if self.lease is not None:
            raise AlreadyExists("there")
        return await self._put(obj)

    async def replace(self, _: Any, obj: dict[str, Any]) -> dict[str, Any]:
        self._up()
        assert self.lease is not None
        if obj["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise Conflict("changed")
        return await self._put(obj)

    async def _put(self, obj: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.lease = copy.deepcopy(obj)
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        return self.lease


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(Lease, "_now", staticmethod(lambda: self.now))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def lease(api: Api, identity: str) -> Lease:
    return Lease(api, namespace="ops", name="operator", identity=identity, seconds=15)  # type: ignore[arg-type]


async def test_the_first_takes_it_and_may_write(clock: Clock) -> None:
    api = Api()
    first = lease(api, "a")
    with pytest.raises(LeaseLost):
        first.check()
    await first.acquire()
    first.check()


async def test_of_two_at_once_one_takes_it(clock: Clock) -> None:
    api = Api()
    one, two = lease(api, "a"), lease(api, "b")
    taken = await asyncio.gather(one._try(), two._try())
    assert sorted(taken) == [False, True]


async def test_a_silent_holder_is_waited_for_by_our_own_clock(clock: Clock) -> None:
    api = Api()
    await lease(api, "a").acquire()
    second = lease(api, "b")
    assert not await second._try()
    clock.now += 14
    assert not await second._try()
    clock.now += 2
    assert await second._try()


@pytest.mark.parametrize(("seconds", "waited"), [(60, 61), (None, 16)], ids=["its own", "none: ours"])
async def test_another_holder_has_the_time_that_its_lease_names(
    clock: Clock, seconds: int | None, waited: float
) -> None:
    api = Api()
    await lease(api, "a").acquire()
    assert api.lease is not None
    api.lease["spec"]["leaseDurationSeconds"] = seconds
    second = lease(api, "b")
    assert not await second._try()
    clock.now += waited - 2
    assert not await second._try()
    clock.now += 2
    assert await second._try()


async def test_a_holder_that_renews_keeps_it(clock: Clock) -> None:
    api = Api()
    first, second = lease(api, "a"), lease(api, "b")
    await first.acquire()
    for _ in range(10):
        clock.now += 5
        assert await first._try()
        assert not await second._try()


async def test_writing_ends_well_before_another_may_begin(clock: Clock) -> None:
    api = Api()
    first = lease(api, "a")
    await first.acquire()
    clock.now += 9
    first.check()
    clock.now += 2
    with pytest.raises(LeaseLost):
        first.check()


async def test_what_is_released_is_taken_at_once(clock: Clock) -> None:
    api = Api()
    first, second = lease(api, "a"), lease(api, "b")
    await first.acquire()
    await first.release()
    with pytest.raises(LeaseLost):
        first.check()
    assert await second._try()


async def test_a_lease_of_somebody_else_is_not_released(clock: Clock) -> None:
    api = Api()
    first, second = lease(api, "a"), lease(api, "b")
    await first.acquire()
    await first.release()
    await second.acquire()
    first._renewed = clock.now
    await first.release()
    assert api.lease is not None
    assert api.lease["spec"]["holderIdentity"] == "b"
