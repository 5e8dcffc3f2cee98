"""Steps of an execution: what an engine did, timed and within the bounds of `api.conversation.Step`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from switchboard.api.conversation import Step
from switchboard.engines.texts import ERROR_MAX, RESULT_MAX, cut

STEPS_MAX = 100
"""Steps that an execution keeps."""
NAME_MAX = 200
"""Characters of a step's name."""


class Stopwatch:
    """Times one step."""

    def __init__(self) -> None:
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()

    def step(
        self,
        kind: Literal["ModelRequest", "ToolCall", "EndpointRequest", "Rule"],
        name: str,
        *,
        arguments: str | None = None,
        result: str | None = None,
        error: str | None = None,
    ) -> Step:
        """The step, with the time since the watch was made."""
        return Step(
            kind=kind,
            name=cut(name, NAME_MAX),
            start_time=self._started,
            milliseconds=int((time.monotonic() - self._clock) * 1000),
            arguments=None if arguments is None else cut(arguments, RESULT_MAX),
            result=None if result is None else cut(result, RESULT_MAX),
            error=None if error is None else cut(error, ERROR_MAX),
        )


def bounded(steps: Sequence[Step]) -> list[Step]:
    """The steps that an execution keeps: the first and the last where there are too many."""
    if len(steps) <= STEPS_MAX:
        return list(steps)
    head = STEPS_MAX // 2
    return [*steps[:head], *steps[-(STEPS_MAX - head) :]]
