"""How records are called: from their content, so that making one twice is a conflict and not a duplicate.

A contact appears only as an HMAC: names and labels are seen by people who may not read texts.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

_EXECUTION = r"c-[0-9a-f]{20}-(?:[1-9][0-9]*|[a-z]+)"
_ATTEMPT = re.compile(rf"({_EXECUTION}-[1-9][0-9]*)\.([1-9][0-9]{{0,8}})")


def conversation_name(key: bytes, *, agent: str, connector: str, channel: str, contact: str) -> str:
    """`c-<20 hex>`. `key` is the namespace's: whoever does not know it cannot try numbers until a name fits."""
    begun, ended = _halves(key)
    inner, outer = begun.copy(), ended.copy()
    inner.update("\0".join((agent, connector, channel, contact)).encode())
    outer.update(inner.digest())
    return "c-" + outer.hexdigest()[:20]


@lru_cache(maxsize=16)
def _halves(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """Both halves of an HMAC (RFC 2104) with the key in them: to begin them costs more than what a name's text adds."""
    block = (key if len(key) <= 64 else hashlib.sha256(key).digest()).ljust(64, b"\0")
    return hashlib.sha256(bytes(b ^ 0x36 for b in block)), hashlib.sha256(bytes(b ^ 0x5C for b in block))


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
