"""A node that leaves takes its Node along, though the API server is busy."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from kubesandbox.client import ApiError, Client
from kubesandbox.node import registration
from kubesandbox.node.registration import Description, Registration

BUSY = ApiError(429, "TooManyRequests", "too many requests, please try again later", 1)
CROSSED = ApiError(409, "Conflict", "the object has been modified")
DOWN = ApiError(500, "InternalError", "etcdserver: leader changed")


class Server:
    """Gives its answers one after the other, and then the last for ever."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers, self.asked = list(answers), 0

    async def delete(self, *_: Any, **__: Any) -> None:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is not None:
            raise answer


async def asked(*answers: Exception | None) -> int:
    server = Server(*answers)
    description = cast("Description", type("Named", (), {"name": "node"}))
    async with asyncio.timeout(10):
        await Registration(cast("Client", server), description).remove()
    return server.asked


async def test_a_node_is_removed_though_the_first_tries_are_refused() -> None:
    assert await asked(BUSY, CROSSED, DOWN, None) == 4


@pytest.mark.parametrize("answer", [ApiError(404, "NotFound", "gone"), ApiError(403, "Forbidden", "no"), OSError()])
async def test_what_no_other_try_would_change_ends_it(answer: Exception) -> None:
    assert await asked(answer) == 1


async def test_a_server_that_stays_busy_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "REMOVE_SECONDS", 0.3)
    assert await asked(BUSY) > 1
