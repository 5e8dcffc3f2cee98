"""Cursors of lists that are sorted by a time and, within it, by a key: opaque outside, checked when they come back."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode(time: datetime, key: str) -> str:
    """The cursor of the last item of a page."""
    microseconds = (time - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(f"{microseconds}/{key}".encode()).decode().rstrip("=")


def decode(cursor: str) -> tuple[datetime, str]:
    """Time and key. Raises ValueError for what `encode` did not make."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        microseconds, separator, key = text.partition("/")
        time = _EPOCH + timedelta(microseconds=int(microseconds))
    except (ValueError, binascii.Error, OverflowError):
        separator, key, time = "", "", _EPOCH
    if not separator or not key:
        raise ValueError(f"{cursor[:40]!r} is not a cursor: give back `next` of the page before, unchanged")
    return time, key
