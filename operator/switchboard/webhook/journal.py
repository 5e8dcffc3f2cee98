"""One line for each recorded message, at a tenth of what the logging library takes for it.

The same line that `log.info` writes, with the same level and stream; what is in it holds no phone number, so nothing is
masked. Lines are written once for all requests that the event loop sees to at a time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import TextIO

from switchboard.log.records import Recorded
from switchboard.telemetry.logs import JsonFormatter, trace_id

log = logging.getLogger(__name__)


class Journal:
    """Writes the lines of recorded messages."""

    def __init__(self) -> None:
        self._enabled = log.isEnabledFor(logging.INFO)
        self._stream = _stream()
        self._lines: list[str] = []
        self._second = 0
        self._date = ""

    def recorded(self, connector: str, message_id: str, recorded: Recorded) -> None:
        """A message is durable."""
        if not self._enabled:
            return
        if self._stream is None or not message_id.isalnum():
            self._slowly(connector, message_id, recorded)
            return
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second, self._date = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write)
        moment = f"{self._date}.{int((now - second) * 1000):03d}+00:00"
        self._lines.append(
            f'{{"time": "{moment}", "level": "info", "logger": "{__name__}", '
            f'"message": "message recorded", "trace": "{recorded.message[3:]}", "connector": "{connector}", '
            f'"conversation": "{recorded.conversation}", "state": "{recorded.state}", "sid": "{message_id}", '
            f'"duplicate": {"true" if recorded.duplicate else "false"}}}\n'
        )

    def _slowly(self, connector: str, message_id: str, recorded: Recorded) -> None:
        known = trace_id.set(recorded.message[3:])
        log.info(
            "message recorded",
            extra={
                "connector": connector,
                "conversation": recorded.conversation,
                "state": recorded.state,
                "sid": message_id,
                "duplicate": recorded.duplicate,
            },
        )
        trace_id.reset(known)

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        if self._stream is not None:
            self._stream.write("".join(lines))
            self._stream.flush()


def _stream() -> TextIO | None:
    """Where JSON lines go; None if the root logger is set up in another way."""
    handlers = logging.getLogger().handlers
    if len(handlers) != 1 or not isinstance(handlers[0], logging.StreamHandler):
        return None
    return handlers[0].stream if isinstance(handlers[0].formatter, JsonFormatter) else None
