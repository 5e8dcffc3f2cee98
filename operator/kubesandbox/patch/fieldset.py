"""Sets of fields, as server-side apply keeps them: paths of `f:name`, `k:{"key":value}` and `v:value`.

A set is a frozenset of paths; a path is a tuple of such elements. FieldsV1 is the same as a tree.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache

from kubesandbox.patch.types import ANY, Type
from kubesandbox.schema.causes import JSON, go_json, quote

Path = tuple[str, ...]
Fields = AbstractSet[Path]


class InvalidFieldsError(ValueError):
    """An object that its kind's schema cannot take, or a FieldsV1 that is none. The text begins with the path."""


def name_element(name: str) -> str:
    return f"f:{name}"


def item_element(item: JSON, type_: Type) -> str:
    """The path element of an item of a set or map list. `InvalidFieldsError` for an item that has none."""
    if not type_.keys:
        if isinstance(item, dict):
            raise InvalidFieldsError("associative list without keys has an element that's a map type")
        if isinstance(item, list):
            raise InvalidFieldsError("not supported: associative list with lists as elements")
        if item is None:
            raise InvalidFieldsError("associative list without keys has an element that's an explicit null")
        return f"v:{go_json(item)}"
    if not isinstance(item, dict):
        what = "a null element" if item is None else "non-map elements"
        raise InvalidFieldsError(f"associative list with keys may not have {what}")
    found = {**{k: type_.key_defaults[k] for k in type_.keys if k in type_.key_defaults}}
    found |= {k: item[k] for k in type_.keys if k in item}
    if not found:
        keys = "[" + " ".join(quote(k) for k in type_.keys) + "]"
        raise InvalidFieldsError(
            f"associative list with keys has an element that omits all key fields {keys} "
            "(and doesn't have default values for any key fields)"
        )
    return f"k:{go_json(found)}"


def show(path: Iterable[str]) -> str:
    """A path for a person: `.spec.routes[name="r"].weight`."""
    return "".join(map(_show, path))


def _show(element: str) -> str:
    kind, _, rest = element.partition(":")
    match kind:
        case "f":
            return f".{rest}"
        case "k":
            return "[" + ",".join(f"{k}={_text(v)}" for k, v in sorted(json.loads(rest).items())) + "]"
        case "v":
            return f"[={_text(json.loads(rest))}]"
        case _:
            return f"[{rest}]"


def _text(value: JSON) -> str:
    return quote(value) if isinstance(value, str) else go_json(value)


def encode(fields: Fields) -> dict[str, JSON]:
    """FieldsV1."""
    tree: dict[str, JSON] = {}
    for path in sorted(fields):
        branch = tree
        for element in path[:-1]:
            branch = branch.setdefault(element, {})
        branch.setdefault(path[-1], {})
    members = {path for path in fields if path}
    _mark(tree, (), members)
    return tree


def _mark(tree: dict[str, JSON], path: Path, members: AbstractSet[Path]) -> None:
    for element in list(tree):
        below = tree[element]
        if below:
            where = (*path, element)
            _mark(below, where, members)
            if where in members:
                tree[element] = {".": {}, **below}


def decode(tree: Mapping[str, JSON]) -> frozenset[Path]:
    """The set of a FieldsV1. `InvalidFieldsError` for what is none."""
    found: set[Path] = set()
    _collect(tree, (), found)
    return frozenset(found)


def _collect(tree: Mapping[str, JSON], path: Path, found: set[Path]) -> None:
    for element, below in tree.items():
        if element == ".":
            found.add(path)
            continue
        if element[:2] not in {"f:", "k:", "v:", "i:"} or not isinstance(below, dict):
            raise InvalidFieldsError(f"{element!r} is no path element of FieldsV1")
        # An element's JSON is compared as text: have it in one form, whoever wrote it.
        where = (*path, element if element[0] == "f" else element[:2] + _canonical(element[2:]))
        if below:
            _collect(below, where, found)
        else:
            found.add(where)


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    try:
        return go_json(json.loads(text))
    except ValueError:
        raise InvalidFieldsError(f"{text!r} is no JSON in FieldsV1") from None


def with_named_parents(fields: Fields, root: Type) -> set[Path]:
    """The set with the struct fields that its paths lead through: owning `spec.a` owns `spec`, too."""
    found = set(fields)
    for path in fields:
        type_: Type = root
        for depth, element in enumerate(path[:-1]):
            name = element[2:]
            if element[0] == "f" and type_.named(name):
                found.add(path[: depth + 1])
            type_ = (type_.of(name) if element[0] == "f" else type_.element) or ANY
    return found


def outside(fields: Fields, prefixes: Iterable[Path]) -> set[Path]:
    """The set without what lies at or under one of `prefixes`."""
    cut = tuple(prefixes)
    return {path for path in fields if not any(path[: len(prefix)] == prefix for prefix in cut)}
