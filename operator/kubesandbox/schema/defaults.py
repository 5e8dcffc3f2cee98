"""What a schema fills in: defaults for what is absent, and for nulls where null is no value."""

from __future__ import annotations

import copy

from kubesandbox.schema.causes import JSON
from kubesandbox.schema.node import Node


def drop_nulls(node: Node | None, value: JSON) -> None:
    """Take out, in place, each null whose schema neither allows null nor has a default to put there."""
    if isinstance(value, dict):
        for name, part in list(value.items()):
            known = node.child(name) if node else None
            if part is None and known is not None and not known.nullable and known.default is None:
                del value[name]
            elif isinstance(part, dict | list):
                drop_nulls(known, part)
    elif isinstance(value, list):
        for item in value:
            drop_nulls(node.items if node else None, item)


def fill(node: Node, value: JSON) -> None:
    """Fill in defaults, in place, also within what a default brings."""
    if not node.defaults_below:
        return
    if isinstance(value, dict):
        for name, known in node.properties.items():
            if known.default is not None and (name not in value or _absent(known, value[name])):
                value[name] = copy.deepcopy(known.default)
        for name in value:
            known_part = node.child(name)
            if known_part is None:
                continue
            if name not in node.properties and _absent(known_part, value[name]):
                value[name] = copy.deepcopy(known_part.default)
            fill(known_part, value[name])
    elif isinstance(value, list) and node.items is not None:
        value[:] = [copy.deepcopy(node.items.default) if _absent(node.items, item) else item for item in value]
        for item in value:
            fill(node.items, item)


def _absent(node: Node, value: JSON) -> bool:
    return value is None and not node.nullable
