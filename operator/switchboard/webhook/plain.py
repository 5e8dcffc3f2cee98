"""The requests that Twilio and proxies send nearly always, read at a fraction of what a general HTTP server takes.

A POST with a length, whole, in plain HTTP/1.1, is recognized strictly: what is malformed, or says anything that this
does not know to be without meaning here, is left to the general server, from its first byte on and for the rest of its
connection. So nothing is ever read in two ways (https://www.rfc-editor.org/rfc/rfc9112).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from switchboard.providers.twilio.form import MAX_BODY
from switchboard.providers.twilio.signature import SETTINGS_HEADER, SIGNATURE_HEADER

HEAD_MAX = 8190
"""Bytes of a head: the general server refuses longer lines."""

_HEAD = re.compile(rb"POST (/[!-~]*+) HTTP/1\.1\r\n(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t -~\x80-\xff]*+\r\n)++\r\n")
"""A request line with a path, then names and values: no folded line, no space before a colon, no control character."""
_TYPE, _LENGTH, _HOST = b"content-type", b"content-length", b"host"
_SIGNATURE, _SETTINGS = SIGNATURE_HEADER.lower().encode(), SETTINGS_HEADER.lower().encode()
_READ = (_TYPE, _LENGTH, _HOST, _SIGNATURE, _SETTINGS)
_NOT_PLAIN = (
    *(b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"content-encoding", b"te"),
    *(b"trailer", b"upgrade", b"expect", b"http2-settings", b"sec-websocket-key"),
)
"""What changes how a message is framed, or what is to be done with its connection."""
_FIELD = re.compile(rb"(?i)\r\n(" + b"|".join((*_READ, *_NOT_PLAIN)) + rb"):[\t ]*([^\r]*)")
_DIGITS = re.compile(rb"[0-9]{1,6}")
_STAYS = b"keep-alive"


class Posted(NamedTuple):
    """A POST as it came."""

    path: str
    content_type: str
    signature: str | None
    settings: str
    """The header that names another algorithm of the signature; empty if it did not come."""
    body: bytes


class Awaited(NamedTuple):
    """The whole head of a plain request came, and not yet all of its body."""

    bytes: int
    """Of the request in all."""


def parse(data: bytes) -> tuple[Posted, int] | Awaited | None:
    """The first request in `data` and the bytes it takes; how many there must be; None if the request is not plain, or
    its head not whole."""
    head = _HEAD.match(data, 0, HEAD_MAX)
    if head is None:
        return None
    end = head.end()
    found = _FIELD.findall(data, head.end(1), end)
    fields = {name.lower(): value for name, value in found}
    length = fields.get(_LENGTH)
    if length is None or _HOST not in fields or len(fields) != len(found) or not _DIGITS.fullmatch(length):
        return None
    connection = fields.pop(b"connection", None)
    if (connection is not None and connection.lower() != _STAYS) or not fields.keys() <= _WANTED:
        return None
    whole = end + int(length)
    if whole - end > MAX_BODY:
        return None
    if len(data) < whole:
        return Awaited(whole)
    signature, algorithm = fields.get(_SIGNATURE), fields.get(_SETTINGS)
    return (
        Posted(
            head[1].decode("ascii"),
            _text(fields.get(_TYPE, b"")),
            None if signature is None else _text(signature),
            "" if algorithm is None else _text(algorithm),
            data[end:whole],
        ),
        whole,
    )


_WANTED = frozenset(_READ)


def _text(value: bytes) -> str:
    return value.rstrip(b"\t ").decode("utf-8", "surrogateescape")
