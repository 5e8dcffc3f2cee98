"""Structured logs: one JSON object a line, phone numbers masked."""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal, TextIO

trace_id: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""Set where work begins; stands on every line that is logged within."""

_NUMBER = re.compile(r"((?<![\w.-])\+|%2[Bb])([1-9]\d{6,14})(?!\d)")
"""Also behind a channel (`whatsapp:+1…`), and as it stands in a URL."""
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


Form = Literal["json", "text"]


def mask(text: str) -> str:
    """The text with the middle of each phone number left out: `+15005550006` becomes `+1500•••06`."""
    return _NUMBER.sub(lambda match: f"{match[1]}{match[2][:4]}•••{match[2][-2:]}", text)


def _value(value: object) -> object:
    if isinstance(value, bool | int | float) or value is None:
        return value
    return mask(str(value))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, trace id, and what the caller gave as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for one record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask(record.getMessage()),
        }
        if current := trace_id.get():
            line["trace"] = current
        line.update((key, _value(value)) for key, value in record.__dict__.items() if key not in _STANDARD)
        if record.exc_info:
            line["exception"] = mask("".join(traceback.format_exception(*record.exc_info)))
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """Lines for people."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for one record."""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        extra = " ".join(f"{key}={_value(value)}" for key, value in record.__dict__.items() if key not in _STANDARD)
        text = f"{time} {record.levelname:<7} {record.name}: {mask(record.getMessage())}" + (
            f"  {extra}" if extra else ""
        )
        if record.exc_info:
            text += "\n" + mask("".join(traceback.format_exception(*record.exc_info))).rstrip()
        return text


def _no_news(record: logging.LogRecord) -> bool:
    """False for what aiohttp tells of requests that are no HTTP: whoever reaches a port could fill the log."""
    error = record.exc_info[0] if record.exc_info else None
    return error is None or error.__module__ != "aiohttp.http_exceptions"


def configure(level: str, form: Form, stream: TextIO | None = None) -> None:
    """Has our loggers tell what is of `level`; libraries are held to warnings: they would tell what people wrote,
    and what was sent along with it."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    handler.addFilter(_no_news)
    logging.getLogger(__package__.partition(".")[0]).setLevel(level)
    root.setLevel(max(logging.WARNING, logging.getLevelName(level)))
