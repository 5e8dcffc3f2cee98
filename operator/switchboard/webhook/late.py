"""An engine that is built while texts are already received."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from switchboard.engines.base import Answer, Engine, EngineError, TurnInput

log = logging.getLogger(__name__)


class LateEngine:
    """An engine whose libraries take seconds to load: a pod that starts again must not be deaf meanwhile."""

    def __init__(self, build: Callable[[], Engine]) -> None:
        self._build = build
        self._engine: Engine | None = None

    async def open(self) -> None:
        """Builds the engine, and loads what its first answer takes.

        Raises:
            EngineMisconfigured: it cannot work as it is set up.
        """
        self._engine = await asyncio.to_thread(self._build)
        try:
            await self._engine.check()
        except EngineError as error:  # a key that is missing today may be there tomorrow: each turn says so by itself
            log.warning("the engine would not answer now", extra={"kind": error.kind, "error": str(error)})

    async def answer(self, turn: TurnInput) -> Answer:
        """What the engine says, once it is open."""
        if self._engine is None:
            raise RuntimeError("the engine is not open yet")
        return await self._engine.answer(turn)

    async def check(self) -> None:
        """Proves that the engine can be built: `open` did."""

    async def close(self) -> None:
        """Closes the engine, if it was opened."""
        if self._engine is not None:
            await self._engine.close()
