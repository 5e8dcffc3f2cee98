"""Where a value is not of a built-in kind's types, as server-side apply tells it: by what its schema expects there.

Quantities, times and what is an int or a string are taken as they come, as `structured-merge-diff` does.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubesandbox.builtin.types import specs
from kubesandbox.objects import Json

_SCALARS: dict[str, str] = {
    "string": "string",
    "bytes": "string",
    "boolean": "boolean",
    "int32": "numeric",
    "int64": "numeric",
    "number": "numeric",
}


def mistyped(name: str, value: Json) -> list[tuple[str, str]]:
    """Paths (`spec.ports[0].port`) and what is expected there: `map`, `list`, `string`, `numeric`, `boolean`."""
    return list(_walk(f"#{name}", value, ""))


def _walk(kind: str, value: Json, path: str) -> Iterator[tuple[str, str]]:
    wanted: type | None = dict if kind.startswith(("#", "map:")) else list if kind.startswith("[]") else None
    if value is None:
        return
    if wanted is not None and not isinstance(value, wanted):
        yield path, "map" if wanted is dict else "list"
    elif wanted is not None:
        for inner, part, where in _parts(kind, value, path):
            yield from _walk(inner, part, where)
    elif kind in _SCALARS and not _fits(value, _SCALARS[kind]):
        yield path, _SCALARS[kind]


def _parts(kind: str, value: Json, path: str) -> Iterator[tuple[str, Json, str]]:
    """What a struct, a map or a list holds: types, values and paths."""
    if kind.startswith("#"):
        fields = specs()[kind[1:]]["f"]
        for key, part in value.items():
            if key in fields:
                yield fields[key]["t"], part, f"{path}.{key}" if path else key
    elif kind.startswith("map:"):
        for key, part in value.items():
            yield kind[4:], part, f"{path}[\0{key}\0]"
    else:
        for index, part in enumerate(value):
            yield kind[2:], part, f"{path}[{index}]"


def _fits(value: Json, scalar: str) -> bool:
    if scalar == "string":
        return isinstance(value, str)
    return isinstance(value, bool) == (scalar == "boolean") and isinstance(value, int | float)
