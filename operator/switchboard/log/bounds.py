"""What strangers send, cut to what every store takes."""

from __future__ import annotations

from collections.abc import Mapping

from switchboard.api.conversation import BODY_MAX
from switchboard.log.records import Inbound

ATTRIBUTES_MAX = 200
ATTRIBUTE_MAX = 4096
MEDIA_MAX = 10
NAME_MAX = 200
URL_MAX = 2048
REASON_MAX = 1024


def clean(text: str, limit: int) -> str:
    """At most `limit` characters, none of which a store refuses: PostgreSQL takes no NUL, UTF-8 no lone surrogate."""
    if len(text) > limit:
        text = text[:limit]
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def body(inbound: Inbound) -> str:
    """The text."""
    return clean(inbound.body, BODY_MAX)


def attributes(given: Mapping[str, str]) -> dict[str, str]:
    """The first `ATTRIBUTES_MAX` of them."""
    if not given:
        return {}
    kept = list(given.items())[:ATTRIBUTES_MAX]
    return {clean(key, NAME_MAX): clean(value, ATTRIBUTE_MAX) for key, value in kept}
