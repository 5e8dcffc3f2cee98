"""Which part of the old object a part of the new one stands for: the base of ratcheting and of `oldSelf`.

As apiserver's `cel/common.CorrelatedObject`: fields by name, items of map lists by their keys, nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubesandbox.schema.causes import JSON, go_json
from kubesandbox.schema.node import Node


class Correlation:
    """A value, the old value it replaces, and the schema of both."""

    __slots__ = ("_children", "_equal", "_old_items", "new", "node", "old")

    def __init__(self, new: JSON, old: JSON, node: Node) -> None:
        self.new, self.old, self.node = new, old, node
        self._children: dict[str | int, Correlation | None] = {}
        self._equal: bool | None = None
        self._old_items: dict[str, JSON] | None = None

    def key(self, name: str) -> Correlation | None:
        """A field's correlation, or None where there is none to compare with."""
        if name not in self._children:
            node = self.node.child(name)
            both = isinstance(self.new, dict) and isinstance(self.old, dict)
            known = node is not None and both and name in self.new and name in self.old
            self._children[name] = Correlation(self.new[name], self.old[name], node) if known and node else None
        return self._children[name]

    def index(self, position: int) -> Correlation | None:
        """An item's correlation: only items of map lists have one."""
        if position not in self._children:
            self._children[position] = self._item(position)
        return self._children[position]

    def _item(self, position: int) -> Correlation | None:
        node = self.node
        if node.list_type != "map" or node.items is None:
            return None
        if not isinstance(self.new, list) or not isinstance(self.old, list):
            return None
        if self._old_items is None:
            self._old_items = by_keys(self.old, node.map_keys)
        old = self._old_items.get(item_key(self.new[position], node.map_keys))
        return None if old is None else Correlation(self.new[position], old, node.items)

    def equal(self) -> bool:
        """Whether nothing changed here. Map lists may have been put in another order."""
        if self._equal is None:
            self._equal = self._compare()
        return self._equal

    def _compare(self) -> bool:
        new, old = self.new, self.old
        if isinstance(new, list) and isinstance(old, list):
            if len(new) != len(old) or self.node.list_type != "map":
                return same(new, old)
            return all(item is not None and item.equal() for item in map(self.index, range(len(new))))
        if isinstance(new, dict) and isinstance(old, dict):
            if len(new) != len(old):
                return False
            return all(part is not None and part.equal() for part in map(self.key, new))
        return same(new, old)


def same(one: JSON, other: JSON) -> bool:
    """Go's reflect.DeepEqual on JSON: 1, 1.0 and true are three values."""
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same(value, other[name]) for name, value in one.items())
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


def item_key(item: JSON, keys: Sequence[str]) -> str:
    """An item of a map list by the values of its keys, comparable."""
    if not isinstance(item, dict):
        return ""
    return go_json([[item[k], type(item[k]).__name__] if k in item else None for k in keys])


def by_keys(items: Sequence[JSON], keys: Sequence[str]) -> dict[str, JSON]:
    """A map list as a map; the first of several with the same keys stays."""
    found: dict[str, JSON] = {}
    for item in items:
        if isinstance(item, dict):
            found.setdefault(item_key(item, keys), item)
    return found
