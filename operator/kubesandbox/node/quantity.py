"""Kubernetes quantities ("100m", "64Mi") as exact numbers."""

import re
from decimal import ROUND_CEILING, Decimal

_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}  # fmt: skip
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([numkMGTPE]i?|[KMGTPE]i|)")


def parse(text: str | float) -> Decimal:
    """The number that a quantity stands for. Raises ValueError for anything else."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None or match[2] not in _SUFFIXES:
        raise ValueError(f"{text!r} is not a quantity")
    return Decimal(match[1]) * _SUFFIXES[match[2]]


def divided(text: str | float, divisor: str | float) -> str:
    """What a resourceFieldRef gives: the quotient, rounded up."""
    unit = parse(divisor)
    if not unit:
        unit = Decimal(1)
    return str(int((parse(text) / unit).to_integral_value(ROUND_CEILING)))
