"""Objects read through their kind's type: which fields they have, how two differ, one merged into another.

The walks of structured-merge-diff (v6.3), on plain JSON.
"""

from __future__ import annotations

import marshal
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from kubesandbox.patch.fieldset import Fields, InvalidFieldsError, Path, item_element, name_element, show
from kubesandbox.patch.types import ANY, Type
from kubesandbox.schema.causes import JSON, quote

#: There is no value, which is not the same as null.
MISSING: Final[Any] = object()


def field_set(value: JSON, root: Type) -> set[Path]:
    """The fields that an object has."""
    found: set[Path] = set()
    _collect(value, root, (), found)
    return found


def _collect(value: JSON, type_: Type, path: Path, found: set[Path]) -> None:
    if isinstance(value, dict):
        if type_.atomic:
            found.add(path)
            return
        for name, part in value.items():
            where = (*path, name_element(name))
            _collect(part, type_.of(name) or ANY, where, found)
            if part is None or part == {} or not type_.named(name):
                found.add(where)
    elif isinstance(value, list):
        if type_.list_kind == "atomic":
            found.add(path)
            return
        for element, items in _index(value, type_).items():
            if len(items) == 1:
                _collect(items[0], type_.element or ANY, (*path, element), found)
            found.add((*path, element))
    elif value is not None or type_.shape == "scalar":
        found.add(path)


def _index(items: JSON, type_: Type) -> dict[str, list[JSON]]:
    """A list's items by path element; several under one where a list repeats itself."""
    found: dict[str, list[JSON]] = {}
    for item in items if isinstance(items, list) else ():
        found.setdefault(item_element(item, type_), []).append(item)
    return found


@dataclass(slots=True)
class Difference:
    """What a new object changed of an old one."""

    added: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)


def compare(old: JSON, new: JSON, root: Type) -> Difference:
    """The difference between two objects of a kind."""
    found = Difference()
    _compare(old, new, root, (), found)
    return found


def _unchanged(old: JSON, new: JSON) -> bool:
    """A quick look before the slow one: most of an object stays as it is. Says no where it is not sure."""
    if old is MISSING or new is MISSING or old != new:
        return False
    # For Python true is 1; marshalled, they differ. Version 2 has no references, which would differ by chance.
    return old is new or marshal.dumps(old, 2) == marshal.dumps(new, 2)


def _kind(value: JSON) -> str:
    return "map" if isinstance(value, dict) else "list" if isinstance(value, list) else "scalar"


def _kinds(old: JSON, new: JSON, type_: Type) -> list[str]:
    """By which shapes two values are compared. Null and nothing take the other's shape."""
    kinds = [_kind(value) for value in (old, new) if value is not MISSING and value is not None]
    return list(dict.fromkeys(kinds)) or [type_.shape or "map"]


def _compare(old: JSON, new: JSON, type_: Type, path: Path, found: Difference) -> None:
    if _unchanged(old, new):
        return
    leaf = False
    for kind in _kinds(old, new, type_):
        leaf = _compare_as(old, new, type_, path, found, kind=kind)
    if not leaf:
        if old is MISSING:
            found.added.add(path)
        elif new is MISSING:
            found.removed.add(path)


def _compare_as(old: JSON, new: JSON, type_: Type, path: Path, found: Difference, *, kind: str) -> bool:
    """Whether the two were compared as a whole."""
    if kind == "map" and not type_.atomic:
        before, after = (value if isinstance(value, dict) else {} for value in (old, new))
        if before or after:
            for name in before.keys() | after.keys():
                part = type_.of(name) or ANY
                was, now = before.get(name, MISSING), after.get(name, MISSING)
                _compare(was, now, part, (*path, name_element(name)), found)
            return False
    elif kind == "list" and type_.list_kind != "atomic":
        before_items, after_items = _index(old, type_), _index(new, type_)
        if before_items or after_items:
            for element in before_items.keys() | after_items.keys():
                was_items, now_items = before_items.get(element, []), after_items.get(element, [])
                _compare_items(was_items, now_items, type_, (*path, element), found)
            return False
    if old is MISSING:
        found.added.add(path)
    elif new is MISSING:
        found.removed.add(path)
    elif not equal(old, new):
        found.modified.add(path)
    return True


def _compare_items(old: list[JSON], new: list[JSON], type_: Type, path: Path, found: Difference) -> None:
    element = type_.element or ANY
    if len(old) <= 1 and len(new) <= 1:
        _compare(old[0] if old else MISSING, new[0] if new else MISSING, element, path, found)
    elif len(old) > 1 and len(new) > 1:
        if not equal(old, new):
            found.modified.add(path)
    elif len(old) > 1:
        if new:
            _compare(MISSING, new[0], element, path, found)
        found.removed.add(path)
    else:
        if old:
            _compare(old[0], MISSING, element, path, found)
        found.added.add(path)


def equal(one: JSON, other: JSON) -> bool:
    """Equal as JSON: 1 is 1.0, but true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def merge(live: JSON, config: JSON, type_: Type) -> JSON:
    """`config` laid over `live`: what it names wins, and lists with keys keep what it does not name."""
    if config is MISSING or (config is None and live and _granular(live, type_)):
        return live
    if isinstance(config, dict) and isinstance(live, dict) and not type_.atomic and (config or live):
        merged = {name: merge(part, config.get(name, MISSING), type_.of(name) or ANY) for name, part in live.items()}
        return merged | {
            name: merge(MISSING, part, type_.of(name) or ANY) for name, part in config.items() if name not in live
        }
    if isinstance(config, list) and isinstance(live, list) and type_.list_kind != "atomic" and (config or live):
        return _merge_items(live, config, type_)
    return config


def _granular(value: JSON, type_: Type) -> bool:
    return not type_.atomic if isinstance(value, dict) else isinstance(value, list) and type_.list_kind != "atomic"


def _merge_items(live: list[JSON], config: list[JSON], type_: Type) -> list[JSON]:
    """Items by key. The config's order holds for what it names; what only `live` has stays where it stood."""
    element = type_.element or ANY
    lives = _index(live, type_)
    configs = {key: items[0] for key, items in _index(config, type_).items()}
    order = [item_element(item, type_) for item in live]
    merged: list[JSON] = []
    position = 0
    shared = iter([key for key in configs if key in lives])
    next_shared = next(shared, None)
    for key, item in configs.items():
        # Before an item of the config come the live ones that stood before it and that the config does not name.
        if key == next_shared:
            while position < len(order) and order[position] != key:
                if order[position] not in configs:
                    merged.append(live[position])
                position += 1
            position += 1
            next_shared = next(shared, None)
        elif next_shared is None:
            merged += [live[i] for i in range(position, len(order)) if order[i] not in configs]
            position = len(order)
        else:
            while position < len(order) and order[position] not in configs:
                merged.append(live[position])
                position += 1
        was = lives[key][0] if len(lives.get(key, ())) == 1 else MISSING
        merged.append(merge(was, item, element))
    merged += [live[i] for i in range(position, len(order)) if order[i] not in configs]
    return merged


def remove(value: JSON, fields: Fields, root: Type) -> JSON:
    """The object without these fields. An object or list that had some taken out stays, if only empty."""
    return _remove(value, _tree(fields), root)


def _tree(fields: Fields) -> dict[str, Any]:
    """Paths as a tree; the key "" marks a member."""
    tree: dict[str, Any] = {}
    for path in fields:
        branch = tree
        for element in path:
            branch = branch.setdefault(element, {})
        branch[""] = True
    return tree


def _remove(value: JSON, tree: dict[str, Any], type_: Type) -> JSON:
    if isinstance(value, dict) and not type_.atomic:
        kept = {}
        for name, part in value.items():
            branch = tree.get(name_element(name))
            if branch is None:
                kept[name] = part
            elif "" not in branch:
                kept[name] = _remove(part, branch, type_.of(name) or ANY)
        return kept
    if isinstance(value, list) and type_.list_kind != "atomic":
        items = []
        for item in value:
            branch = tree.get(item_element(item, type_))
            if branch is None:
                items.append(item)
            elif "" not in branch:
                items.append(_remove(item, branch, type_.element or ANY))
        return items
    if isinstance(value, dict):
        return {}
    return [] if isinstance(value, list) else value


def check(value: JSON, root: Type, undeclared: Iterable[str] = (), mistyped: Iterable[tuple[str, str]] = ()) -> None:
    """Raise `InvalidFieldsError` for an applied configuration that is not of the kind's type.

    The table of built-in kinds takes any field and any scalar: `undeclared` are paths (`spec.containers[0].bogus`) of
    fields that the kind is known not to have, and `mistyped` such paths with what is expected there.
    """
    wrong = dict(mistyped)
    problems = [problem for problem in _problems(value, root, ()) if not wrong or ": expected " not in problem]
    first = {path.rpartition(".")[0]: path for path in reversed(list(undeclared))}
    problems += [f"{_located(value, root, path)[0]}: field not declared in schema" for path in reversed(first.values())]
    problems += [_expected(*_located(value, root, path), scalar) for path, scalar in wrong.items()]
    if problems:
        raise InvalidFieldsError(problems[0] if len(problems) == 1 else "\n  ".join(["errors:", *problems]))


def _located(value: JSON, root: Type, path: str) -> tuple[str, JSON]:
    """A path as `structured-merge-diff` shows it, and what stands there. A map's key is written `[\\0key\\0]`."""
    elements: list[str] = []
    type_ = root
    for key, name, index in re.findall(r"\[\0(.*?)\0\]|([^.\[\]]+)|\[(\d+)\]", path):
        if not index:
            elements.append(name_element(key or name))
            value = value.get(key or name) if isinstance(value, dict) else None
            type_ = type_.of(key or name) or ANY
        else:
            value = value[int(index)] if isinstance(value, list) else None
            try:
                elements.append(f"i:{index}" if type_.list_kind == "atomic" else item_element(value, type_))
            except InvalidFieldsError as wrong:
                raise InvalidFieldsError(f"{show(elements)}: element {index}: {wrong}") from None
            type_ = type_.element or ANY
    return show(elements), value


def _expected(where: str, value: JSON, expected: str) -> str:
    if expected in {"map", "list", "boolean"}:
        return f"{where}: expected {expected}, got &{{{_plain(value)}}}"
    if expected == "numeric":
        return f"{where}: expected numeric (int or float), got {_GO[type(value)]}"
    return f"{where}: expected {expected}, got &value.valueUnstructured{{Value:{_syntax(value)}}}"


_SCALARS: dict[str, tuple[type, ...]] = {"string": (str,), "numeric": (int, float), "boolean": (bool,)}
_GO = {
    bool: "bool",
    int: "int64",
    float: "float64",
    str: "string",
    dict: "map[string]interface {}",
    list: "[]interface {}",
}


def _problems(value: JSON, type_: Type, path: Path) -> Iterator[str]:
    kind = _kind(value)
    if value is None:
        return
    if type_.shape and kind != type_.shape:
        expected = {"map": "map", "list": "list"}.get(type_.shape, "")
        if expected:
            yield _expected(show(path), value, expected).removeprefix(": ")
            return
    if type_.shape == "scalar" and type_.scalar and not _is_scalar(value, type_.scalar):
        yield _expected(show(path), value, type_.scalar).removeprefix(": ")
        return
    if kind == "map":
        for name, part in value.items():
            known = type_.of(name)
            if known is None:
                yield f"{show((*path, name_element(name)))}: field not declared in schema"
                return  # the walk over a map ends with the first that it does not have
            else:
                yield from _problems(part, known, (*path, name_element(name)))
    elif kind == "list":
        yield from _list_problems(value, type_, path)


def _list_problems(value: list[JSON], type_: Type, path: Path) -> Iterator[str]:
    where = f"{show(path)}: " if path else ""
    seen: set[str] = set()
    for index, item in enumerate(value):
        element = f"i:{index}"
        if type_.list_kind != "atomic":
            try:
                element = item_element(item, type_)
            except InvalidFieldsError as wrong:
                yield f"{where}element {index}: {wrong}"
                return
            if element in seen:
                yield f"{where}duplicate entries for key {show((element,))}"
            seen.add(element)
        yield from _problems(item, type_.element or ANY, (*path, element))


def _is_scalar(value: JSON, scalar: str) -> bool:
    return isinstance(value, _SCALARS[scalar]) and (scalar == "boolean" or not isinstance(value, bool))


def _plain(value: JSON) -> str:
    """A value as Go's %v prints it."""
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{' '.join(map(_plain, value))}]"
        case dict():
            return f"map[{' '.join(f'{key}:{_plain(value[key])}' for key in sorted(value))}]"
        case None:
            return "<nil>"
        case _:
            return str(value)


def _syntax(value: JSON) -> str:
    """A value in Go's own syntax, as %#v prints it."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return quote(value)
        case list():
            return f"[]interface {{}}{{{', '.join(_syntax(item) for item in value)}}}"
        case dict():
            items = ", ".join(f"{quote(key)}:{_syntax(value[key])}" for key in sorted(value))
            return f"map[string]interface {{}}{{{items}}}"
        case None:
            return "interface {}(nil)"
        case _:
            return _plain(value)
