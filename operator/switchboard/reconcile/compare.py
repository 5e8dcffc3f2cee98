"""Whether an object is already as wanted, so that nothing is written when nothing changed."""

from __future__ import annotations

import hashlib
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from switchboard.api.meta import GROUP

ANNOTATION_APPLIED = f"{GROUP}/applied"
"""A digest of what was last applied: tells that a field is no longer wanted, which a comparison cannot see."""

_OF_QUANTITIES = frozenset({"requests", "limits"})
_SUFFIXES = {
    "m": Decimal("0.001"),
    "": Decimal(1),
    "k": Decimal(1000),
    "M": Decimal(1000**2),
    "G": Decimal(1000**3),
    "T": Decimal(1000**4),
    "Ki": Decimal(1024),
    "Mi": Decimal(1024**2),
    "Gi": Decimal(1024**3),
    "Ti": Decimal(1024**4),
}


def stamped(wanted: dict[str, Any]) -> dict[str, Any]:
    """`wanted` with the digest of itself as an annotation."""
    text = orjson.dumps(wanted, option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(text).hexdigest()[:16]
    metadata = wanted.get("metadata", {})
    annotations = {**metadata.get("annotations", {}), ANNOTATION_APPLIED: digest}
    return {**wanted, "metadata": {**metadata, "annotations": annotations}}


def as_wanted(wanted: object, observed: object, *, quantities: bool = False) -> bool:
    """Whether `observed` says all that `wanted` says. What the API server adds (defaults, status) does not count.

    Lists must be of the same length, in the same order. Quantities of resources are compared by their value, because
    the API server rewrites them: `1024Mi` becomes `1Gi`.
    """
    if isinstance(wanted, dict):
        return isinstance(observed, dict) and _holds(wanted, observed, quantities)
    if isinstance(wanted, list):
        if not isinstance(observed, list) or len(wanted) != len(observed):
            return False
        return all(as_wanted(one, other, quantities=quantities) for one, other in zip(wanted, observed, strict=True))
    if wanted == observed:
        return isinstance(wanted, bool) == isinstance(observed, bool)
    return quantities and _quantity(wanted) == _quantity(observed) is not None


def _holds(wanted: dict[str, Any], observed: dict[str, Any], quantities: bool) -> bool:
    # A plain loop: at a start this looks at every field of all that was made, and most are texts that are the same.
    for key, value in wanted.items():
        if key not in observed:
            if value not in ({}, [], None):
                return False
        elif type(value) is str and value == observed[key]:
            continue
        elif not as_wanted(value, observed[key], quantities=quantities or key in _OF_QUANTITIES):
            return False
    return True


def _quantity(value: object) -> Decimal | None:
    text = str(value)
    number = text.rstrip("mkKMGTi")
    try:
        return Decimal(number) * _SUFFIXES[text[len(number) :]]
    except (InvalidOperation, KeyError):
        return None
