"""The engine that is built while texts are already received."""

from __future__ import annotations

import asyncio
import threading

import pytest
from tests.unit.engines.turns import turn

from switchboard.engines.base import Answer, Engine, EngineMisconfigured, EngineUnavailable, TurnInput
from switchboard.webhook.late import LateEngine


class Parrot:
    """Repeats; its check fails if it is told to."""

    def __init__(self, trouble: EngineUnavailable | None = None) -> None:
        self.trouble = trouble
        self.closed = False

    async def answer(self, turn: TurnInput) -> Answer:
        return Answer(turn.messages[-1].text)

    async def check(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    async def close(self) -> None:
        self.closed = True


async def test_the_loop_goes_on_while_the_engine_is_built() -> None:
    went_on = threading.Event()

    def build() -> Engine:
        assert went_on.wait(30), "the loop stood still"
        return Parrot()

    late = LateEngine(build)
    opening = asyncio.create_task(late.open())
    asyncio.get_running_loop().call_soon(went_on.set)
    await opening
    assert (await late.answer(turn("hello"))).text == "hello"


async def test_what_may_work_later_does_not_keep_the_engine_from_opening(caplog: pytest.LogCaptureFixture) -> None:
    late = LateEngine(lambda: Parrot(EngineUnavailable("KeyMissing", "the key is not there yet")))
    await late.open()
    assert (await late.answer(turn("hello"))).text == "hello"
    assert [record.kind for record in caplog.records] == ["KeyMissing"]  # type: ignore[attr-defined]


async def test_an_engine_that_cannot_be_built_ends_the_start() -> None:
    def build() -> Engine:
        raise EngineMisconfigured("ModelInvalid", "spec.template.engine.model: no")

    late = LateEngine(build)
    with pytest.raises(EngineMisconfigured, match=r"spec\.template\.engine\.model"):
        await late.open()
    await late.close()


async def test_closing_closes_the_engine() -> None:
    parrot = Parrot()
    late = LateEngine(lambda: parrot)
    await late.open()
    await late.close()
    assert parrot.closed
