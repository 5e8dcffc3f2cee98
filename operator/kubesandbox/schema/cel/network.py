"""URLs, IP addresses and CIDRs."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubesandbox.schema.cel.errors import EvaluationError
from kubesandbox.schema.formats import check

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _address(text: str) -> Address:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise EvaluationError(f"IP Address {text!r} parse error during conversion from string") from None
    if "%" in text:
        raise EvaluationError(f"IP address {text!r} with zone value is not allowed")
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        raise EvaluationError(f"IPv4-mapped IPv6 address {text!r} is not allowed")
    return found


def _network(text: str) -> tuple[Address, int]:
    address, slash, bits = text.partition("/")
    if not slash or not bits.isdigit():
        raise EvaluationError(f"network address parse error during conversion from string: netip.ParsePrefix({text!r})")
    found, prefix = _address(address), int(bits)
    if prefix > found.max_prefixlen:
        raise EvaluationError(f"network address parse error during conversion from string: netip.ParsePrefix({text!r})")
    return found, prefix


def _parses(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def parses(text: str) -> bool:
        try:
            parse(text)
        except EvaluationError:
            return False
        return True

    return parses


def _ip(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):  # a cidr's address
        return {"mark": "ip", "text": str(_network(value["text"])[0])}
    return {"mark": "ip", "text": str(_address(value))}


def _cidr(text: str) -> dict[str, Any]:
    address, prefix = _network(text)
    return {"mark": "cidr", "text": f"{address}/{prefix}"}


def _text(value: Any) -> str:
    return str(value["text"]) if isinstance(value, dict) else str(value)


def _whole(value: Any) -> Network:
    address, prefix = _network(_text(value))
    return ipaddress.ip_network(f"{address}/{prefix}", strict=False)


def _contains_cidr(outer: Any, inner: Any) -> bool:
    one, other = _whole(outer), _whole(inner)
    return one.version == other.version and one.prefixlen <= other.prefixlen and other.network_address in one


def _of_ip(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda value: bool(getattr(_address(value["text"]), name))


def _global(value: dict[str, Any]) -> bool:
    """Go's IsGlobalUnicast: private addresses count."""
    found = _address(value["text"])
    broadcast = found == ipaddress.IPv4Address("255.255.255.255")
    return not (found.is_unspecified or found.is_loopback or found.is_multicast or found.is_link_local or broadcast)


def _link_local_multicast(value: dict[str, Any]) -> bool:
    found = _address(value["text"])
    scope = "224.0.0.0/24" if found.version == 4 else "ff02::/16"
    return found in ipaddress.ip_network(scope)


def _url(text: str) -> dict[str, Any]:
    is_url = check("uri")
    if not text or is_url is None or not is_url(text):
        raise EvaluationError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return {"mark": "url", "text": text}


def _port(value: dict[str, Any]) -> str:
    host: str = urlsplit(value["text"]).netloc.rpartition("@")[2]
    return host.rpartition("]")[2].partition(":")[2] if "]" in host else host.partition(":")[2]


def _hostname(value: dict[str, Any]) -> str:
    host: str = urlsplit(value["text"]).netloc.rpartition("@")[2]
    return host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "cidr": _cidr,
    "containsCIDR": _contains_cidr,
    "containsIP": lambda outer, inner: _address(_text(inner)) in _whole(outer),
    "family": lambda value: _address(value["text"]).version,
    "getEscapedPath": lambda value: urlsplit(value["text"]).path,
    "getHost": lambda value: urlsplit(value["text"]).netloc.rpartition("@")[2],
    "getHostname": _hostname,
    "getPort": _port,
    "getQuery": lambda value: parse_qs(urlsplit(value["text"]).query, keep_blank_values=True),
    "getScheme": lambda value: urlsplit(value["text"]).scheme,
    "ip": _ip,
    "ip.isCanonical": lambda text: str(_address(text)) == text,
    "isCIDR": _parses(_network),
    "isGlobalUnicast": _global,
    "isIP": _parses(_address),
    "isLinkLocalMulticast": _link_local_multicast,
    "isLinkLocalUnicast": _of_ip("is_link_local"),
    "isLoopback": _of_ip("is_loopback"),
    "isURL": _parses(_url),
    "isUnspecified": _of_ip("is_unspecified"),
    "masked": lambda value: {"mark": "cidr", "text": str(_whole(value))},
    "url": _url,
    "prefixLength": lambda value: _whole(value).prefixlen,
}
