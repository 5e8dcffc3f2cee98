"""The two patches that know nothing of kinds: RFC 6902 and RFC 7386."""

from __future__ import annotations

import copy
from typing import Any

from kubesandbox.patch.typed import equal
from kubesandbox.schema.causes import JSON

#: kube-apiserver takes no more operations in one patch (apiserver's maxJSONPatchOperations).
MOST_OPERATIONS = 10_000


_GO_TYPE = "[]handlers.jsonPatchOp"
_OPERATIONS = frozenset({"add", "remove", "replace", "move", "copy", "test"})


class MalformedPatchError(ValueError):
    """What is no JSON patch: 400."""


class PatchFailedError(ValueError):
    """A JSON patch that does not apply to this object (a test that fails, a path that is not there): 422."""


class PatchTooLargeError(ValueError):
    """A JSON patch of too many operations: 413."""


def json_patch(obj: dict[str, JSON], ops: JSON) -> dict[str, JSON]:
    """A copy of `obj` with the operations of RFC 6902 done to it."""
    import jsonpatch
    import jsonpointer

    if not isinstance(ops, list) or not all(isinstance(op, dict) for op in ops):
        raise MalformedPatchError(f"json: cannot unmarshal {_kind(ops)} into Go value of type {_GO_TYPE}")
    if len(ops) > MOST_OPERATIONS:
        raise PatchTooLargeError(f"The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {len(ops)}")
    result: Any = copy.deepcopy(obj)
    for given in ops:
        if given.get("op") not in _OPERATIONS:
            raise PatchFailedError(f"Unexpected kind: {given.get('op')}")
        op = {"value": None, **given}  # as in evanphx/json-patch, no value is null
        try:
            if op["op"] == "test":
                _test(result, op)
            elif (lenient := _lenient(result, op)) is not None:
                result = lenient
            else:
                result = jsonpatch.JsonPatch([op]).apply(result, in_place=True)
        except jsonpatch.InvalidJsonPatch as wrong:
            raise PatchFailedError(str(wrong)) from None
        except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, KeyError, TypeError) as wrong:
            raise PatchFailedError(_words(op, str(wrong))) from None
    if not isinstance(result, dict):
        raise PatchFailedError("a JSON patch must leave an object")
    return result


def _lenient(document: JSON, op: dict[str, JSON]) -> JSON | None:
    """What evanphx/json-patch v4 makes of a member that is not there: it replaces it, and copies it as null.

    None where the operation is an ordinary one.
    """
    import jsonpatch
    import jsonpointer

    missing = object()
    place = {"replace": "path", "copy": "from"}.get(str(op["op"]))
    if place is None or not op.get(place):
        return None
    steps = str(op[place]).split("/")
    parent = jsonpointer.resolve_pointer(document, "/".join(steps[:-1]), missing)
    if not isinstance(parent, dict) or jsonpointer.unescape(steps[-1]) in parent:
        return None
    added = {"op": "add", "path": op["path"], "value": op["value"] if op["op"] == "replace" else None}
    return jsonpatch.JsonPatch([added]).apply(document, in_place=True)


def _kind(ops: JSON) -> str:
    """What Go's JSON calls the value that is in the way."""
    wrong = next((op for op in ops if not isinstance(op, dict)), None) if isinstance(ops, list) else ops
    names = {dict: "object", list: "array", str: "string", bool: "bool", type(None): "null"}
    return names.get(type(wrong), "number")


def _test(document: JSON, op: dict[str, JSON]) -> None:
    import jsonpointer

    missing = object()
    path = str(op.get("path"))
    found = jsonpointer.resolve_pointer(document, path, missing)
    # A test for null passes where there is nothing, as in evanphx/json-patch.
    wanted = op.get("value")
    if not (wanted is None if found is missing else equal(found, wanted)):
        raise PatchFailedError(f"testing value {path} failed: test failed")


def _words(op: dict[str, JSON], detail: str) -> str:
    """In the words of evanphx/json-patch, which kube-apiserver uses."""
    path = op.get("path", "")
    match op.get("op"):
        case "remove":
            return f"remove operation does not apply: doc is missing path: {path}: missing value"
        case "replace":
            return f"replace operation does not apply: doc is missing key: {path}: missing value"
        case "add":
            return f"add operation does not apply: doc is missing path: {path}: missing value"
        case other:
            return f"{other} operation does not apply: {detail}"


def merge_patch(obj: JSON, patch: JSON) -> JSON:
    """A copy of `obj` with RFC 7386's merge patch laid over it."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(obj) if isinstance(obj, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return copy.deepcopy(merged)
