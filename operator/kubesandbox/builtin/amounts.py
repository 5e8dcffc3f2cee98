"""Quantities of resources in the form that Go writes them (apimachinery's resource.Quantity, CanonicalizeBytes)."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal

SUFFIXES = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|([numkMGTPE]?|[KMGTPE]i))")
_NANO = Decimal("1e-9")
_DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_THOUSAND, _KIBI = 1000, 1024


def amount(text: object) -> Decimal:
    """A quantity's number; ValueError for what is none."""
    match = QUANTITY.fullmatch(str(text))
    if match is None:
        raise ValueError(f"{text!r} is no quantity")
    number, exponent, suffix = match.groups()
    return Decimal(number) * (Decimal(10) ** int(exponent) if exponent else SUFFIXES[suffix or ""])


def canonical(text: str) -> str:
    """`1024Mi` as `1Gi`, `0.5` as `500m`, `1000m` as `1`; what is no quantity stays as it is."""
    match = QUANTITY.fullmatch(text)
    if match is None:
        return text
    number = amount(text).quantize(_NANO, rounding=ROUND_CEILING)
    if match[2] is not None:
        return _written(number, lambda power: f"e{power * 3}" if power else "")
    if (match[3] or "").endswith("i") and abs(number) >= _KIBI:
        whole = int(number.to_integral_value(rounding=ROUND_CEILING))
        power = 0
        while whole % _KIBI == 0 and power < len(_BINARY) - 1:
            whole, power = whole // _KIBI, power + 1
        return f"{whole}{_BINARY[power]}"
    return _written(number, lambda power: _DECIMAL[power + 3])


def _written(number: Decimal, suffix: Callable[[int], str]) -> str:
    """A number with the largest power of a thousand that leaves it whole."""
    if not number:
        return "0"
    whole, power = int(number / _NANO), -3
    while whole % _THOUSAND == 0 and power < len(_DECIMAL) - 4:
        whole, power = whole // _THOUSAND, power + 1
    return f"{whole}{suffix(power)}"
