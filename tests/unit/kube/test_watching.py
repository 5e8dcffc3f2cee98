"""How soon a watch that broke is there again, and when it begins anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import pytest

from switchboard.kube import watching
from switchboard.kube.client import Changed, Listing, Synced
from switchboard.kube.errors import Gone, KubeError, NotFound, Unavailable
from switchboard.kube.resources import AGENTS, Object


class Server:
    """Watches that break after so many seconds without news; the last one has some."""

    def __init__(self, lives: list[float]) -> None:
        self.lives = lives
        self.now = 0.0
        self.error: KubeError = Unavailable("the connection broke")

    async def list(self, *_: Any, **__: Any) -> Listing:
        return Listing([], "1")

    async def stream(self, *_: Any, **__: Any) -> AsyncIterator[Object]:
        if self.lives:
            self.now += self.lives.pop(0)
            raise self.error
        yield {"type": "ADDED", "object": {"metadata": {"name": "support", "resourceVersion": "2"}}}


@pytest.mark.parametrize(
    ("lives", "failures"),
    [
        ([0.0, 0.0, 0.0], [1, 2, 3]),
        ([30.0, 30.0, 30.0], [1, 1, 1]),
        ([0.0, 0.0, 30.0, 0.0], [1, 2, 1, 2]),
    ],
)
async def test_only_what_fails_at_once_again_and_again_is_waited_for_longer(
    lives: list[float], failures: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, counted = Server(lives), list[int]()

    def pause(count: int) -> float:
        counted.append(count)
        return 0.0

    monkeypatch.setattr(watching, "time", SimpleNamespace(monotonic=lambda: server.now))
    monkeypatch.setattr(watching, "_pause", pause)
    async with aclosing(watching.watch(server, AGENTS, "ns", "", "")) as events:
        async for event in events:
            if isinstance(event, Changed):
                break
    assert counted == failures


@pytest.mark.parametrize(
    ("error", "again"),
    [(Gone("too old"), True), (NotFound("no such kind"), True), (Unavailable("the connection broke"), False)],
    ids=["expired", "kind deleted", "disconnected"],
)
async def test_what_may_have_gone_meanwhile_is_listed_again(
    error: KubeError, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_pause", lambda _: 0.0)
    server = Server([0.0])
    server.error = error
    synced = 0
    async with aclosing(watching.watch(server, AGENTS, "ns", "", "")) as events:
        async for event in events:
            synced += isinstance(event, Synced)
            if isinstance(event, Changed):
                break
    assert synced == (2 if again else 1)
