"""Background tasks that are started again when they fail, and say so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from switchboard.webhook import metrics

log = logging.getLogger(__name__)

_LONGEST_PAUSE = 30.0


class Supervisor:
    """Holds the tasks that a pod runs all the time."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, work: Callable[[], Awaitable[None]], *, first_pause: float = 0.5) -> None:
        """Runs `work` until `stop`: again, after a pause that doubles, whenever it raises; not when it returns."""
        self._tasks[name] = asyncio.create_task(self._keep(name, work, first_pause), name=name)

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]], pause: float) -> None:
        failures = 0
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await work()
            except Exception:
                log.exception("a background task failed and is started again", extra={"task": name})
                metrics.TASK_FAILURES.labels(name).inc()
            else:
                return
            if asyncio.get_running_loop().time() - began > 2 * _LONGEST_PAUSE:
                failures = 0
            failures += 1
            await asyncio.sleep(min(_LONGEST_PAUSE, pause * 2 ** (failures - 1)))

    def once(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """As `start`, for what ends by itself."""
        self.start(name, work)
        self._tasks[name].add_done_callback(lambda _: self._tasks.pop(name, None))

    @property
    def dead(self) -> list[str]:
        """Tasks that have ended though nobody stopped them."""
        return sorted(name for name, task in self._tasks.items() if task.done())

    async def stop(self, *names: str) -> None:
        """Ends the named tasks, or all."""
        chosen = [self._tasks.pop(name) for name in names or list(self._tasks) if name in self._tasks]
        for task in chosen:
            task.cancel()
        await asyncio.gather(*chosen, return_exceptions=True)
