"""How records are called: from their content, so that making one twice is a conflict and not a duplicate.

A contact appears only as an HMAC: names and labels are seen by people who may not read texts.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import lru_cache

_EXECUTION = r"c-[0-9a-f]{20}-(?:[1-9][0-9]*|[a-z]+)"
_ATTEMPT = re.compile(rf"({_EXECUTION}-[1-9][0-9]*)\.([1-9][0-9]{{0,8}})")


def conversation_name(key: bytes, *, agent: str, connector: str, channel: str, contact: str) -> str:
    """`c-<20 hex>`. `key` is the namespace's: whoever does not know it cannot try numbers until a name fits."""
    code = _begun(key).copy()
    code.update("\0".join((agent, connector, channel, contact)).encode())
    return "c-" + code.hexdigest()[:20]


@lru_cache(maxsize=16)
def _begun(key: bytes) -> hmac.HMAC:
    """An HMAC with the key in it: making one costs more than what a name's text adds."""
    return hmac.new(key, digestmod=hashlib.sha256)


def inbound_name(provider: str, account: str, message_id: str) -> str:
    """`in-<32 hex>`."""
    return "in-" + hashlib.sha256(f"{provider}/{account}/{message_id}".encode()).hexdigest()[:32]


def execution_name(conversation: str, turn: int | str) -> str:
    """`<conversation>-<n>` of its n-th turn, or `<conversation>-<kind>` of an announcement."""
    return f"{conversation}-{turn}"


def turn_number(execution: str) -> int:
    """Which turn of its conversation an execution is, from 1; 0 for an announcement."""
    label = execution.rpartition("-")[2]
    return int(label) if label.isdecimal() else 0


def outbound_name(execution: str, part: int) -> str:
    """`<execution>-<part>`, parts counted from 1."""
    return f"{execution}-{part}"


def conversation_of(execution: str) -> str:
    """The conversation of an execution."""
    return execution.rpartition("-")[0]


def attempt_id(message: str, number: int) -> str:
    """`<message>.<n>`."""
    return f"{message}.{number}"


def parse_attempt(text: str) -> tuple[str, int] | None:
    """The message and number in an attempt's id; None for what no attempt was ever called."""
    found = _ATTEMPT.fullmatch(text)
    return (found[1], int(found[2])) if found else None
