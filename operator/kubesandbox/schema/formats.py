"""The string formats that kube-apiserver checks (kube-openapi's strfmt, apiextensions' list of them)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import date
from functools import cache

_UUID = r"[0-9a-f]{8}-?[0-9a-f]{4}-?%s[0-9a-f]{3}-?%s[0-9a-f]{3}-?[0-9a-f]{12}"
_HEX = "[0-9a-f]"
_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))")
_GO_DURATION = re.compile(
    r"[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*|[+-]?0"
)
_SCALA_DURATION = re.compile(r"(\d+)\s*([A-Za-zµ]+)")
_UNITS = (
    ["ns", "us", "µs", "ms", "s", "m", "h", "d", "w", "wk"],
    ["nano", "micro", "milli", "sec", "min", "hr", "hour", "day", "week"],
)
_BASE64 = re.compile(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})")
_CARD = re.compile(
    r"(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}"
    r"|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11})"
)
_CHANNEL = r"\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*"
_MAC = (
    r"([0-9a-f]{2}:){5}([0-9a-f]{2}:){0}[0-9a-f]{2}|([0-9a-f]{2}:){7}[0-9a-f]{2}|([0-9a-f]{2}:){19}[0-9a-f]{2}"
    r"|([0-9a-f]{2}-){5}[0-9a-f]{2}|([0-9a-f]{2}-){7}[0-9a-f]{2}|([0-9a-f]{2}-){19}[0-9a-f]{2}"
    r"|([0-9a-f]{4}\.){2}[0-9a-f]{4}|([0-9a-f]{4}\.){3}[0-9a-f]{4}|([0-9a-f]{4}\.){9}[0-9a-f]{4}"
)
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_HOST_LABEL = re.compile(r"[^\W_]([^\W_]|-(?=[^\W_-])|-)*")


def _matches(pattern: str, flags: int = re.ASCII) -> Callable[[str], bool]:
    compiled = re.compile(pattern, flags)
    return lambda text: compiled.fullmatch(text) is not None


def _uuid(version: str, variant: str) -> Callable[[str], bool]:
    return _matches(_UUID % (version, variant), re.IGNORECASE | re.ASCII)


def _is_date(text: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        return False
    try:
        # Go knows a year 0; Python does not. 2000 is as leap a year as 0.
        date.fromisoformat(text if not text.startswith("0000") else "2000" + text[4:])
    except ValueError:
        return False
    return True


def _is_date_time(text: str) -> bool:
    day, t, rest = text.lower().partition("t")
    found = _TIME.fullmatch(rest.partition("t")[0]) if t else None
    return bool(found and _is_date(day) and found[1] <= "23" and found[2] <= "59" and found[3] <= "59")


def _is_duration(text: str) -> bool:
    """Go's time.ParseDuration, or anything that has a number before a Scala unit in it."""
    if _GO_DURATION.fullmatch(text):
        return True
    units = (m[2].lower() for m in _SCALA_DURATION.finditer(text))
    short, long = _UNITS
    return any(unit in short or unit.startswith(tuple(long)) for unit in units)


def _is_email(text: str) -> bool:
    """Close to Go's mail.ParseAddress: an address, or a display name with the address in angle brackets."""
    from email.errors import HeaderParseError
    from email.headerregistry import Address

    named = re.fullmatch(r"(?:[^<>@]*\s*)<([^<>]+)>\s*", text)
    try:
        address = Address(addr_spec=named[1] if named else text.strip(" \t"))
    except (ValueError, IndexError, HeaderParseError):
        return False
    return bool(address.username and address.domain) and not re.search(r"[\x00-\x1f\x7f]", text)


def _is_hostname(text: str) -> bool:
    if not text or len(text.encode()) > 255 or any(not part or len(part) > 63 for part in text.split(".")):
        return False
    *labels, top = text.split(".")
    if not all(_HOST_LABEL.fullmatch(label) and not label.endswith("-") for label in (*labels, top)):
        return False
    return not labels or (len(top) >= 2 and all(c.isalpha() for c in top))


def _sloppy_v4(text: str) -> str:
    """Leading zeros off, as k8s.io/utils/net does for what Go took before 1.17."""
    return re.sub(r"(^|\.)0+(?=\d)", r"\1", text)


def _is_ipv4(text: str) -> bool:
    # kube-openapi asks for a dot and for an address: `::ffff:1.2.3.4` is one for it, too.
    return "." in text and _is_ip(_sloppy_v4(text))


def _is_ipv6(text: str) -> bool:
    return ":" in text and _is_ip(text)


def _is_ip(text: str) -> bool:
    try:
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _is_cidr(text: str) -> bool:
    address, slash, bits = text.partition("/")
    if not slash or not re.fullmatch(r"\d{1,3}", bits, re.ASCII):
        return False
    try:
        return int(bits) <= ipaddress.ip_address(_sloppy_v4(address)).max_prefixlen and "%" not in address
    except ValueError:
        return False


def _is_uri(text: str) -> bool:
    """Go's url.ParseRequestURI: an absolute URI or an absolute path, without control characters."""
    if not text or re.search(r"[\x00-\x1f\x7f]", text) or text == "*":
        return text == "*"
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", text)
    if not scheme and not text.startswith("/"):
        return False
    rest = text[scheme.end() :] if scheme else text
    if scheme and not rest.startswith("/"):
        return bool(rest) or True
    if rest.startswith("//") and scheme:
        authority = re.split(r"[/?]", rest[2:], maxsplit=1)[0]
        host = authority.rpartition("@")[2]
        if re.search(r'[\s"<>^`{}|\\]', host) or not re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?", host):
            return False
    path = re.split(r"\?", rest, maxsplit=1)[0]
    return not re.search(r"%(?![0-9A-Fa-f]{2})", path)


def _is_card(text: str) -> bool:
    digits = re.sub(r"[^0-9]", "", text)
    if not _CARD.fullmatch(digits):
        return False
    doubled = (int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits)))
    return sum(n % 10 + n // 10 for n in doubled) % 10 == 0


def _is_isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch(r"[0-9]{9}[0-9X]", digits):
        return False
    return sum((i + 1) * (10 if d == "X" else int(d)) for i, d in enumerate(digits)) % 11 == 0


def _is_isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch(r"[0-9]{13}", digits):
        return False
    return sum(int(d) * (1, 3)[i % 2] for i, d in enumerate(digits)) % 10 == 0


_SHORT_NAME = _matches(_LABEL)
_LONG_NAME = _matches(rf"{_LABEL}(\.{_LABEL})*")

_CHECKS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _matches("[0-9a-fA-F]{24}"),
    "byte": lambda text: _BASE64.fullmatch(text) is not None,
    "cidr": _is_cidr,
    "creditcard": _is_card,
    "date": _is_date,
    "datetime": _is_date_time,
    "duration": _is_duration,
    "email": _is_email,
    "hexcolor": _matches("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "hostname": _is_hostname,
    "ipv4": _is_ipv4,
    "ipv6": _is_ipv6,
    "isbn": lambda text: _is_isbn10(text) or _is_isbn13(text),
    "isbn10": _is_isbn10,
    "isbn13": _is_isbn13,
    "k8slongname": lambda text: len(text) <= 253 and _LONG_NAME(text),
    "k8sshortname": lambda text: len(text) <= 63 and _SHORT_NAME(text),
    "mac": _matches(_MAC, re.IGNORECASE | re.ASCII),
    "password": lambda _text: True,
    "rgbcolor": _matches(rf"rgb\({_CHANNEL},{_CHANNEL},{_CHANNEL}\)"),
    "ssn": lambda text: len(text) == 11 and re.fullmatch(r"\d{3}[- ]?\d{2}[- ]?\d{4}", text, re.ASCII) is not None,
    "uri": _is_uri,
    "uuid": _uuid(_HEX, _HEX),
    "uuid3": _uuid("3", _HEX),
    "uuid4": _uuid("4", "[89ab]"),
    "uuid5": _uuid("5", "[89ab]"),
}


@cache
def check(name: str) -> Callable[[str], bool] | None:
    """The check of a string format, None for a format that kube-apiserver ignores. Dashes do not count."""
    return _CHECKS.get(name.replace("-", ""))
