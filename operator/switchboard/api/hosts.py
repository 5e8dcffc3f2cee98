"""Which hosts a connector may name. Operator and pods judge by this alone, so that they never differ."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

_HOST = re.compile(r"[0-9a-z._-]+|[0-9a-f:.]+")
"""A name or an address. Libraries differ in what they make of a backslash or of other alphabets."""


def host_of(url: str) -> str:
    """A URL's host in lower case; empty if it has none, or is no URL."""
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
    return host if _HOST.fullmatch(host) else ""


def is_url(url: str) -> bool:
    """Whether a URL can be asked: it has a host, and a port that there is."""
    return bool(host_of(url)) and _port(url) is not None


def host_allowed(url: str, own: Collection[str | None], allowed: Collection[str]) -> bool:
    """Whether a URL's host is one of the operator's `own` URLs', by the same scheme, or on the allow-list.

    An entry is a host, a host with a port, or `*.` and a domain, which stands for every host below it.
    """
    if not is_url(url):
        return False
    host, port = host_of(url), _port(url)
    scheme = url.partition(":")[0]
    if any(host == host_of(other) and scheme == other.partition(":")[0] for other in own if other):
        return True
    for entry in allowed:
        name, _, wanted = entry.lower().partition(":")
        if wanted and wanted != str(port):
            continue
        if host == name or (name.startswith("*.") and host.endswith(name[1:])):
            return True
    return False


def _port(url: str) -> int | None:
    """The port, the scheme's own where none is named; None if it is none."""
    try:
        parts = urlsplit(url)
        return parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
