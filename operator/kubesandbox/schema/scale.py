"""A custom resource's scale subresource: its replica counts are counts, its selector a text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kubesandbox.schema import causes
from kubesandbox.schema.causes import JSON, Cause, go_float

_MOST = 2**31 - 1
_GO = {bool: "bool", float: "float64", str: "string", dict: "map[string]interface {}", list: "[]interface {}"}
_MISSING = object()


def scale_causes(scale: Mapping[str, JSON] | None, obj: JSON, *, status_only: bool = False) -> list[Cause]:
    """A cause for each of a CRD version's scale paths whose value cannot be scaled by."""
    if not scale:
        return []
    paths = ["statusReplicasPath"] if status_only else ["specReplicasPath", "statusReplicasPath"]
    found = [cause for path in paths for cause in _count(obj, scale.get(path) or "")]
    return found + list(_selector(obj, scale.get("labelSelectorPath") or ""))


def _count(obj: JSON, path: str) -> Iterator[Cause]:
    value = _at(obj, path)
    if value is _MISSING:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        yield causes.invalid(path, 0, _wrong(path, value, "int64"))
    elif value < 0:
        yield causes.invalid(path, value, "should be a non-negative integer")
    elif value > _MOST:
        yield causes.invalid(path, value, f"should be less than or equal to {_MOST}")


def _selector(obj: JSON, path: str) -> Iterator[Cause]:
    value = _at(obj, path) if path else _MISSING
    if value is not _MISSING and not isinstance(value, str):
        yield causes.invalid(path, "", _wrong(path, value, "string"))


def _at(obj: JSON, path: str) -> JSON:
    for name in path.removeprefix(".").split("."):
        if not isinstance(obj, dict) or name not in obj:
            return _MISSING
        obj = obj[name]
    return obj


def _wrong(path: str, value: JSON, wanted: str) -> str:
    shown = go_float(value) if isinstance(value, float) else "<nil>" if value is None else str(value)
    kind = "int64" if type(value) is int else _GO.get(type(value), "<nil>")
    return f"{path} accessor error: {shown} is of the type {kind}, expected {wanted}"
