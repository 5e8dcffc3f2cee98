"""JSONPath as client-go reads it in printer columns and selectable fields.

A dialect of its own (k8s.io/client-go/util/jsonpath): dots in keys are escaped with a backslash, filters compare with
`==`, `!=`, `<`, `>` and know only constants and paths; what is missing yields nothing.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from kubesandbox.objects import Json

Step = Callable[[Json], Iterator[Json]]


class JSONPathError(ValueError):
    """A path that cannot be read."""


_PART = re.compile(
    r"""
    \.\.(?P<deep>[^.\[\]]+|\*)
  | \.?\['(?P<quoted>(?:[^'\\]|\\.)*)'\]
  | \.?\["(?P<double>(?:[^"\\]|\\.)*)"\]
  | \.?\[\?\((?P<filter>.*?)\)\]
  | \.?\[(?P<slice>-?\d*:-?\d*(?::-?\d*)?)\]
  | \.?\[(?P<index>-?\d+)\]
  | \.?\[(?P<all>\*)\]
  | \.(?P<key>(?:\\.|[^.\[\]\\])+)
    """,
    re.VERBOSE,
)


@lru_cache(maxsize=1024)
def compile_path(path: str) -> Callable[[Json], list[Json]]:
    """A function that gives all values at `path`; raises JSONPathError."""
    text = path.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    text = text.removeprefix("$")
    steps: list[Step] = []
    at = 0
    if text in {"", "."}:
        return lambda value: [value]
    while at < len(text):
        match = _PART.match(text, at)
        if not match or match.end() == at:
            raise JSONPathError(f"unrecognized path {path!r} at {text[at:]!r}")
        steps.append(_step(match))
        at = match.end()

    def find(value: Json) -> list[Json]:
        values = [value]
        for step in steps:
            values = [found for each in values for found in step(each)]
            if not values:
                break
        return values

    return find


def _step(match: re.Match[str]) -> Step:
    for name in ("key", "quoted", "double"):
        text = match.group(name)
        if text is not None:
            key = re.sub(r"\\(.)", r"\1", text)
            return _all if name == "key" and key == "*" else _key(key)
    if match.group("filter") is not None:
        return _filter(match.group("filter"))
    if match.group("index") is not None:
        return _index(int(match.group("index")))
    if match.group("slice") is not None:
        return _slice(match.group("slice"))
    if match.group("deep") is not None:
        return _deep(match.group("deep"))
    return _all


def _key(key: str) -> Step:
    def step(value: Json) -> Iterator[Json]:
        if isinstance(value, dict) and key in value:
            yield value[key]

    return step


def _index(index: int) -> Step:
    def step(value: Json) -> Iterator[Json]:
        if isinstance(value, list) and -len(value) <= index < len(value):
            yield value[index]

    return step


def _slice(text: str) -> Step:
    parts = [int(part) if part else None for part in text.split(":")]

    def step(value: Json) -> Iterator[Json]:
        if isinstance(value, list):
            yield from value[slice(*parts)]

    return step


def _all(value: Json) -> Iterator[Json]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _deep(key: str) -> Step:
    def step(value: Json) -> Iterator[Json]:
        if isinstance(value, dict):
            if key in value:
                yield value[key]
            for below in value.values():
                yield from step(below)
        elif isinstance(value, list):
            for below in value:
                yield from step(below)

    return step


_FILTER = re.compile(r"^\s*(?P<left>@[^=!<>]*?|[^@=!<>]+?)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<right>.+?))?\s*$")


def _filter(text: str) -> Step:
    match = _FILTER.match(text)
    if not match:
        raise JSONPathError(f"unrecognized filter {text!r}")
    left = _operand(match.group("left"))
    sign = match.group("operator")
    right = _operand(match.group("right")) if sign else None

    def step(value: Json) -> Iterator[Json]:
        for item in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
            lefts = left(item)
            if right is None:
                if lefts:
                    yield item
            elif any(_compare(a, sign, b) for a in lefts for b in right(item)):
                yield item

    return step


def _operand(text: str) -> Callable[[Json], list[Json]]:
    text = text.strip()
    if text.startswith("@"):
        return compile_path(text[1:] or ".")
    if text[:1] in {"'", '"'}:
        constant: Json = text[1:-1]
    else:
        try:
            constant = json.loads(text)
        except ValueError:
            raise JSONPathError(f"unrecognized identifier {text}") from None
    return lambda _: [constant]


_OPERATORS: dict[str, Callable[[Json, Json], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def _compare(left: Json, sign: str, right: Json) -> bool:
    if isinstance(left, str) != isinstance(right, str):
        return sign == "!="
    try:
        return bool(_OPERATORS[sign](left, right))
    except TypeError:
        return False
