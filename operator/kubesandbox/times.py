"""Times as Go's `time.Parse` takes them, and what it says of others."""

from __future__ import annotations

import re

RFC3339 = "2006-01-02T15:04:05Z07:00"
MICRO = "2006-01-02T15:04:05.000000Z07:00"

_PIECES = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d\d"),
    ("-", "-"),
    ("02", r"\d\d"),
    ("T", "T"),
    ("15", r"\d\d?"),
    (":", ":"),
    ("04", r"\d\d"),
    (":", ":"),
    ("05", r"\d\d(?:[.,]\d+)?"),
    ("Z07:00", r"Z|[+-]\d\d:\d\d"),
)
_MICRO_PIECES = (*_PIECES[:10], ("05", r"\d\d"), (".000000", r"\.\d{6}"), _PIECES[-1])


def unparsed(text: str, *, micro: bool = False) -> str | None:
    """What Go says of a text that is no RFC 3339 time; None for one that is. `micro` wants six digits of a second."""
    layout, rest = MICRO if micro else RFC3339, text
    for element, pattern in _MICRO_PIECES if micro else _PIECES:
        match = re.match(pattern, rest)
        if match is None:
            return f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{element}"'
        rest = rest[match.end() :]
    return f'parsing time "{text}": extra text: "{rest}"' if rest else None
