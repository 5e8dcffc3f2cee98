"""Strategic merge patch: RFC 7386 with lists merged by key, and directives, for built-in kinds."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from kubesandbox.patch.typed import equal
from kubesandbox.patch.types import ANY, KindSchema, Type
from kubesandbox.schema.causes import JSON

_DIRECTIVE = "$patch"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"
_RETAIN = "$retainKeys"


class StrategicPatchError(ValueError):
    """A patch that cannot be laid over its object.

    kube-apiserver answers `code` with this text: 500 for most, 400 and 422 for a few (handlers/patch.go,
    interpretStrategicMergePatchError).
    """

    def __init__(self, text: str, code: int = 500) -> None:
        super().__init__(text)
        self.code = code


def go_value(value: JSON) -> str:
    """A value as Go's %v prints it: `map[a:1 b:[x y]]`."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_value(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(go_value, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "<nil>" if value is None else str(value)


def strategic_merge(obj: dict[str, JSON], patch: dict[str, JSON], kind_schema: KindSchema) -> dict[str, JSON]:
    """`patch` laid over a copy of `obj`. `StrategicPatchError` for a patch that makes no sense."""
    if not kind_schema.strategic:
        raise StrategicPatchError("a strategic merge patch needs a built-in kind")
    return _merge_map(copy.deepcopy(obj), copy.deepcopy(patch), kind_schema.root)


def _merge_map(original: dict[str, JSON], patch: dict[str, JSON], type_: Type) -> dict[str, JSON]:
    match patch.get(_DIRECTIVE):
        case None:
            pass
        case "replace":
            return {name: value for name, value in patch.items() if name != _DIRECTIVE}
        case "delete":
            return {}
        case other:
            raise StrategicPatchError(f"unknown patch type: {other} in map: {go_value(patch)}")
    if _RETAIN in patch:
        _retain(original, patch, patch[_RETAIN])
    orders = {name.removeprefix(_ORDER): order for name, order in patch.items() if name.startswith(_ORDER)}
    for name, value in patch.items():
        if name.startswith(_DELETE_FROM):
            _delete_from(original, name.removeprefix(_DELETE_FROM), value)
    for name, value in patch.items():
        if not name.startswith("$") or name in type_.fields:
            _put(original, name, value, type_.of(name) or ANY, orders.get(name))
    for name, order in orders.items():
        if name not in patch and isinstance(original.get(name), list):
            known = type_.of(name) or ANY
            original[name] = _ordered(original[name], _identities(order, known), original[name], known)
    return original


def _delete_from(original: dict[str, JSON], name: str, removed: JSON) -> None:
    if isinstance(original.get(name), list):
        original[name] = [item for item in original[name] if not any(equal(item, gone) for gone in removed)]


def _put(original: dict[str, JSON], name: str, value: JSON, type_: Type, order: Sequence[JSON] | None) -> None:
    current = original.get(name)
    if value is None:
        original.pop(name, None)
    elif isinstance(value, dict):
        if current is None and value.get(_DIRECTIVE) == "delete":
            return
        if current is None:  # a directive has nothing to act on
            value = {key: item for key, item in value.items() if key != _DIRECTIVE}
        base = current if isinstance(current, dict) and type_.strategy != "replace" else {}
        original[name] = _merge_map(base, value, type_)
    elif isinstance(value, list) and "merge" in type_.strategy:
        before = current if isinstance(current, list) else []
        _check_items(before, value)
        if order is not None:
            _check_order(value, order, type_)
        merged = _merge_list(list(before), value, type_)
        original[name] = merged if order is None else _ordered(merged, _identities(order, type_), before, type_)
    else:
        original[name] = value


def _check_items(before: list[JSON], patch: list[JSON]) -> None:
    """Refuse a patch's list of one sort of items where the object's is of another (mergeSliceWithSpecialElements)."""
    sorts = {isinstance(item, dict) for item in (*before, *patch)}
    if before and len(sorts) > 1:
        raise StrategicPatchError(f"list element types are not identical: [{go_value(before)} {go_value(patch)}]")


def _check_order(patch: list[JSON], order: Sequence[JSON], type_: Type) -> None:
    """Refuse a patch's list that is not in the order of its own $setElementOrder."""
    wanted = _identities(order, type_)
    named = [item for item in patch if not (isinstance(item, dict) and _DIRECTIVE in item)]
    places = [next((i for i, w in enumerate(wanted) if equal(w, it)), -1) for it in _identities(named, type_)]
    if -1 in places or places != sorted(places):
        text = (
            f"The order in patch list:\n{go_value(patch)}\n doesn't match $setElementOrder list:\n{go_value(order)}\n"
        )
        raise StrategicPatchError(text)


def _retain(original: dict[str, JSON], patch: dict[str, JSON], retained: JSON) -> None:
    if not isinstance(retained, list):
        raise StrategicPatchError("invalid patch format of retainKeys", 400)
    named = {name for name, value in patch.items() if not name.startswith("$") and value is not None}
    if not named <= set(retained):
        raise StrategicPatchError("NOT all fields present in the patch are in the retainKeys list", 422)
    for name in [name for name in original if name not in retained]:
        del original[name]


def _merge_list(original: list[JSON], patch: list[JSON], type_: Type) -> list[JSON]:
    key = type_.merge_key
    if not key:
        merged = list(original)
        for item in patch:
            if not any(equal(item, other) for other in merged):
                merged.append(item)
        return _ordered(merged, patch, original, type_)
    for item in patch:
        if not isinstance(item, dict) or (key not in item and item.get(_DIRECTIVE) != "replace"):
            raise StrategicPatchError(f"map: {go_value(item)} does not contain declared merge key: {key}")
    if any(item.get(_DIRECTIVE) == "replace" for item in patch):
        return [item for item in patch if _DIRECTIVE not in item]
    deleted = [item[key] for item in patch if item.get(_DIRECTIVE) == "delete"]
    original = [item for item in original if not any(equal(item.get(key), gone) for gone in deleted)]
    merged, wanted = list(original), [item for item in patch if item.get(_DIRECTIVE) != "delete"]
    for item in wanted:
        place = next((i for i, other in enumerate(merged) if equal(other.get(key), item[key])), len(merged))
        merged[place : place + 1] = [
            _merge_map(merged[place] if place < len(merged) else {}, item, type_.element or ANY)
        ]
    return _ordered(merged, _identities(wanted, type_), original, type_)


def _identities(items: Sequence[JSON], type_: Type) -> list[JSON]:
    """What tells a list's items apart: their merge key, or themselves."""
    key = type_.merge_key
    return [item.get(key) if key and isinstance(item, dict) else item for item in items]


def _ordered(items: list[JSON], wanted: Sequence[JSON], before: Sequence[JSON], type_: Type) -> list[JSON]:
    """The items that the patch names, in its order; the server's others go in front of those they stood before."""
    server = _identities(before, type_)

    def place(identity: JSON, order: Sequence[JSON]) -> int:
        return next((i for i, other in enumerate(order) if equal(identity, other)), -1)

    told = [
        (place(identity, wanted), place(identity, server), item)
        for item, identity in zip(items, _identities(items, type_), strict=True)
    ]
    named = sorted((t for t in told if t[0] >= 0), key=lambda t: t[0])
    others = sorted((t for t in told if t[0] < 0), key=lambda t: t[1])
    woven: list[JSON] = []
    while named and others:
        first = 0 <= others[0][1] < named[0][1]
        woven.append((others if first else named).pop(0)[2])
    return woven + [t[2] for t in (*named, *others)]
