"""A cache follows its kind through every kind of bad luck, and reads its own writes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from kubesandbox.client import ApiError, Cache, Change, Object
from kubesandbox.client import cache as module
from kubesandbox.client.resources import PODS


def pod(name: str, version: int, *, uid: str = "", owner: str = "") -> Object:
    metadata: Object = {"namespace": "ns", "name": name, "uid": uid or name, "resourceVersion": str(version)}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True, "kind": "X", "name": "x"}]
    return {"kind": "Pod", "metadata": metadata}


class Server:
    """Answers lists and watches as a test wrote them down; the last watch never ends."""

    def __init__(self) -> None:
        self.lists: list[tuple[list[Object], str] | Exception] = []
        self.watches: list[list[tuple[str, Object] | Exception]] = []
        self.asked: list[str] = []

    async def list(self, *_: Any, **__: Any) -> tuple[list[Object], str]:
        answer = self.lists.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def watch(self, *_: Any, resource_version: str, **__: Any) -> AsyncIterator[tuple[str, Object]]:
        self.asked.append(resource_version)
        if not self.watches:
            await asyncio.Event().wait()
        for event in self.watches.pop(0):
            if isinstance(event, Exception):
                raise event
            yield event


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(module, "FIRST_DELAY", 0.0)
    return Server()


async def settle(server: Server) -> Cache:
    """Run a cache until it has used up what the server has to say."""
    cache = Cache(server, PODS)  # type: ignore[arg-type]
    watches = len(server.watches) + 1
    running = asyncio.create_task(cache.run())
    async with asyncio.timeout(5):
        while len(server.asked) < watches or server.lists:
            await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    return cache


def names(cache: Cache) -> list[str]:
    return sorted(obj["metadata"]["name"] for obj in cache.all())


async def test_a_watch_that_ends_or_breaks_is_resumed_where_it_was(server: Server) -> None:
    server.lists = [([pod("a", 1)], "5")]
    server.watches = [
        [("ADDED", pod("b", 6)), aiohttp.ClientPayloadError()],
        [("BOOKMARK", {"metadata": {"resourceVersion": "9"}})],
        [("DELETED", pod("a", 10))],
    ]
    cache = await settle(server)
    assert server.asked == ["5", "6", "9", "10"]
    assert names(cache) == ["b"]


async def test_a_watch_that_breaks_after_a_quiet_while_is_resumed_without_delay(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, slept = itertools.count(step=5), list[float]()
    sleep = asyncio.sleep

    async def at_once(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    server.lists = [([], "5")]
    server.watches = [[aiohttp.ClientPayloadError()] for _ in range(8)]
    monkeypatch.setattr(module, "FIRST_DELAY", 0.05)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: float(next(now))))
    monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=at_once, Event=asyncio.Event))
    await settle(server)
    assert len(slept) == 8
    assert max(slept) <= 0.05


async def test_an_expired_version_lists_again_and_drops_what_is_gone(server: Server) -> None:
    server.lists = [([pod("a", 1), pod("b", 2)], "5"), ([pod("b", 7)], "8")]
    server.watches = [[ApiError(410, "Expired", "too old")]]
    cache = await settle(server)
    assert server.asked == ["5", "8"]
    assert names(cache) == ["b"]


async def test_a_list_that_fails_is_tried_again(server: Server) -> None:
    server.lists = [ApiError(500, "InternalError", "no"), TimeoutError(), ([pod("a", 1)], "5")]
    assert names(await settle(server)) == ["a"]


async def test_late_events_do_not_undo_what_our_own_write_answered(server: Server) -> None:
    server.lists = [([pod("a", 1)], "5")]
    cache = await settle(server)
    cache.remember(pod("a", 9))
    cache.remember(pod("new", 10))
    changes: list[Change] = []
    cache.listen(changes.append)
    changes.clear()
    cache.remember(pod("a", 7))
    assert changes == []
    assert names(cache) == ["a", "new"]


async def test_a_deleted_object_does_not_come_back_with_a_late_answer(server: Server) -> None:
    server.lists = [([], "5")]
    server.watches = [[("ADDED", pod("a", 6)), ("DELETED", pod("a", 7))]]
    cache = await settle(server)
    cache.remember(pod("a", 6))
    assert names(cache) == []
    cache.remember(pod("a", 8, uid="another"))
    assert names(cache) == ["a"]


async def test_a_forgotten_object_counts_as_going(server: Server) -> None:
    server.lists = [([pod("a", 1)], "5")]
    cache = await settle(server)
    cache.forget(pod("a", 1))
    held = cache.get("ns", "a")
    assert held is not None
    assert held["metadata"]["deletionTimestamp"]
    cache.remember(pod("a", 1))
    assert cache.get("ns", "a") == held


async def test_an_object_that_was_made_anew_is_told_as_gone_and_new(server: Server) -> None:
    server.lists = [([pod("a", 1, uid="one")], "5")]
    cache = await settle(server)
    changes: list[Change] = []
    cache.listen(changes.append)
    changes.clear()
    cache.remember(pod("a", 6, uid="two"))
    told = [(c.old and c.old["metadata"]["uid"], c.new and c.new["metadata"]["uid"]) for c in changes]
    assert told == [("one", None), (None, "two")]


async def test_objects_are_found_by_their_owner_also_after_it_changes(server: Server) -> None:
    server.lists = [([pod("a", 1, owner="x"), pod("b", 2)], "5")]
    cache = await settle(server)
    cache.remember(pod("b", 6, owner="x"))
    cache.remember(pod("a", 7))
    assert [obj["metadata"]["name"] for obj in cache.owned_by("x")] == ["b"]
    assert [obj["metadata"]["name"] for obj in cache.orphans("ns")] == ["a"]
    assert list(cache.orphans("other")) == []
