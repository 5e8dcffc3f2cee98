"""What the operator reads before it works."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from switchboard.controller.store import Store
from switchboard.controller.watches import Watches
from switchboard.kube.client import Listing
from switchboard.kube.errors import Unavailable
from switchboard.kube.resources import ResourceType
from switchboard.settings import OperatorSettings


class Stumbling:
    """An API server that refuses every second request."""

    def __init__(self) -> None:
        self.asked = 0
        self.listed: list[tuple[str, str | None]] = []

    async def list(self, resource: ResourceType, namespace: str | None) -> Listing:
        self.asked += 1
        if self.asked % 2 == 0:
            raise Unavailable("the leader changed")
        self.listed.append((resource.kind, namespace))
        return Listing(items=[], resource_version="1")


async def test_a_server_that_refuses_now_and_then_is_read_to_the_end_and_once() -> None:
    api = Stumbling()
    context: Any = SimpleNamespace(
        api=api,
        store=Store(),
        applier=SimpleNamespace(),
        enqueue=lambda *_: None,
        settings=OperatorSettings(namespaces=["a", "b", "c"], public_url="https://agents.example.com"),
    )
    watches = Watches(context)
    failures = 0
    for _ in range(100):
        try:
            await watches.load()
            break
        except Unavailable:
            failures += 1
    else:
        pytest.fail("it never came to the end")
    assert failures == len(api.listed) - 1
    assert len(set(api.listed)) == len(api.listed)
    assert {namespace for _, namespace in api.listed} == {"a", "b", "c"}
