"""Whether an object is already as wanted, so that nothing is written when nothing changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from switchboard.api.meta import GROUP

ANNOTATION_APPLIED = f"{GROUP}/applied"
"""A digest of what was last applied: tells that a field is no longer wanted, which a comparison cannot see."""

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
    text = json.dumps(wanted, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    metadata = wanted.get("metadata", {})
    annotations = {**metadata.get("annotations", {}), ANNOTATION_APPLIED: digest}
    return {**wanted, "metadata": {**metadata, "annotations": annotations}}


def as_wanted(wanted: object, observed: object, *, quantities: bool = False) -> bool:
    """Whether `observed` says all that `wanted` says. What the API server adds (defaults, status) does not count.

    Lists must be of the same length, in the same order. Quantities of resources are compared by their value, because
    the API server rewrites them: `1024Mi` becomes `1Gi`.
    """
    if isinstance(wanted, Mapping):
        return isinstance(observed, Mapping) and all(
            (
                key in observed
                and as_wanted(value, observed[key], quantities=quantities or key in ("requests", "limits"))
            )
            or (key not in observed and value in ({}, [], None))
            for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(observed, list)
            and len(wanted) == len(observed)
            and all(as_wanted(one, other, quantities=quantities) for one, other in zip(wanted, observed, strict=True))
        )
    if quantities and wanted != observed:
        return _quantity(wanted) == _quantity(observed) is not None
    return wanted == observed and isinstance(wanted, bool) == isinstance(observed, bool)


def _quantity(value: object) -> Decimal | None:
    text = str(value)
    number = text.rstrip("mkKMGTi")
    try:
        return Decimal(number) * _SUFFIXES[text[len(number) :]]
    except (InvalidOperation, KeyError):
        return None
