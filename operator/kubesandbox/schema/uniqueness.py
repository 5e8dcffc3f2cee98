"""Lists that are sets or maps: no item twice, no key twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubesandbox.schema import causes
from kubesandbox.schema.causes import JSON, Cause
from kubesandbox.schema.correlation import item_key
from kubesandbox.schema.node import Node


def duplicates(node: Node, value: JSON, path: str = "") -> list[Cause]:
    """A cause for each item that a set or map list has more than once."""
    return list(_walk(node, value, path))


def _walk(node: Node, value: JSON, path: str) -> Iterator[Cause]:
    if not node.unique_below:
        return
    if isinstance(value, dict):
        for name, part in value.items():
            if name in node.properties:
                yield from _walk(node.properties[name], part, causes.child(path, name))
            elif (values := node.values) is not None:
                yield from _walk(values, part, causes.key(path, name))
    elif isinstance(value, list):
        yield from _list(node, value, path)
        if node.items is not None:
            for index, item in enumerate(value):
                yield from _walk(node.items, item, f"{path}[{index}]")


def _list(node: Node, value: list[JSON], path: str) -> Iterator[Cause]:
    if node.list_type == "set":
        for index in _again([item_key({"": item}, [""]) for item in value]):
            yield causes.duplicate(f"{path}[{index}]", value[index])
    elif node.list_type == "map":
        for index, item in enumerate(value):
            if item is not None and not isinstance(item, dict):
                yield causes.invalid(f"{path}[{index}]", item, "must be an object for an array of list-type map")
                return
        for index in _again([item_key(item or {}, node.map_keys) for item in value]):
            item = value[index] or {}
            yield causes.duplicate(f"{path}[{index}]", {k: item[k] for k in node.map_keys if k in item})


def _again(keys: Sequence[str]) -> Iterator[int]:
    """Where a key comes for the second time; a third is not told again."""
    times: dict[str, int] = {}
    for index, key in enumerate(keys):
        times[key] = times.get(key, 0) + 1
        if times[key] == 2:
            yield index
