"""What a call costs and how large its result is, by the sizes of its arguments.

As cel-go's `checker.functionCost`, its extensions' estimators and apiserver's `cel/library.CostEstimator`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from kubesandbox.schema.cel.signatures import Signature
from kubesandbox.schema.cel.sizes import MOST, ONE, UNKNOWN, Declared, Size, bounded, scaled
from kubesandbox.schema.cel.types import CelType

CREATE_LIST, CREATE_MAP = 10, 30
#: Going over a string once, a character; a regular expression, a character of it.
STRING, REGEX = 0.1, 0.25


@dataclass(frozen=True, slots=True)
class Entry:
    """How large the keys and values of a list or map are."""

    kind: str
    key: Size
    value: Size

    def union(self, other: Entry | None) -> Entry | None:
        return None if other is None else Entry(self.kind, self.key.union(other.key), self.value.union(other.value))


@dataclass(frozen=True, slots=True)
class Path:
    """Where a value comes from: a variable, and fields, `@items`, `@values` and `@keys` of what it holds.

    A Go slice, as in cel-go: paths that grow from one share an array while it has room, and a later one overwrites
    an earlier. Sizes are read from what then stands there.
    """

    array: list[str]
    length: int

    def __bool__(self) -> bool:
        return self.length > 0

    def plus(self, step: str) -> Path:
        array = self.array
        if self.length == len(array):
            array = [*array, *[""] * max(len(array), 1)]
        array[self.length] = step
        return Path(array, self.length + 1)

    @property
    def steps(self) -> tuple[str, ...]:
        """The path below the variable."""
        return tuple(self.array[1 : self.length])


NOWHERE = Path([], 0)


@dataclass(slots=True)
class Part:
    """A part of an expression: its cost with all below it, and what is known of its value.

    `value` is an integer literal's.
    """

    cost: int
    type: CelType
    path: Path = NOWHERE
    size: Size | None = None
    entry: Entry | None = None
    value: int | None = None

    @property
    def known(self) -> Size:
        """Its size, or what any may have."""
        return UNKNOWN if self.size is None else self.size


@dataclass(frozen=True, slots=True)
class Estimate:
    """A call's cost, and its result's size where that follows from the arguments."""

    cost: int
    size: Size | None = None
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class _Call:
    signature: Signature
    target: Part | None
    args: list[Part]
    root: Declared

    @property
    def subject(self) -> Part:
        """What a method is called on, or a function's first argument."""
        return self.target or self.args[0]


def of(name: str, signature: Signature, target: Part | None, args: list[Part], root: Declared) -> Estimate:
    """One overload of a call; the target's own cost is not in it, the arguments' is."""
    call = _Call(signature, target, args, root)
    given = sum(arg.cost for arg in args)
    if name in {"_&&_", "_||_"}:
        return Estimate(given)
    if name == "_?_:_":
        return _conditional(args)
    found = _KNOWN[name](call) if name in _KNOWN else None
    if found is None:
        found = Estimate(1)
    return Estimate(bounded(found.cost + given), found.size, found.entry)


def sorting(size: Size, by: CelType) -> Estimate:
    """Comparing every element with every other."""
    factor = 2 + STRING if by.name in {"string", "bytes"} else 2.0
    return _allocating(factor, size.times(size))


def _allocating(factor: float, size: Size) -> Estimate:
    return Estimate(bounded(scaled(size.most, factor) + 1 + CREATE_LIST), size)


def _conditional(args: list[Part]) -> Estimate:
    _, then, otherwise = args
    entry = then.entry.union(otherwise.entry) if then.entry is not None else None
    cost = args[0].cost + max(then.cost, otherwise.cost)
    return Estimate(bounded(cost), then.known.union(otherwise.known), entry)


def _traversal(factor: float = 1, *, sized: bool = False) -> Callable[[_Call], Estimate]:
    """Going over a string so many times."""

    def estimate(call: _Call) -> Estimate:
        size = call.subject.known
        return Estimate(scaled(size.most, factor * STRING), size if sized else None)

    return estimate


def _argument(call: _Call) -> Estimate:
    return Estimate(scaled(call.args[0].known.most, STRING))


def _compared(call: _Call) -> Estimate | None:
    """Equality and order: as long as the shorter of the two."""
    if call.signature.name not in {"_==_", "_!=_"} and call.signature.parameters[0].name not in {"string", "bytes"}:
        return None
    left, right = call.args
    if call.signature.name == "_==_" and left.type == right.type:
        if left.type.name in {"ip", "cidr", "quantity", "semver"}:
            return Estimate(1)
        if left.type.name == "url":
            return Estimate(scaled((right.size or ONE).most, STRING))
    return Estimate(scaled(min(left.known.most, right.known.most), STRING))


def _added(call: _Call) -> Estimate | None:
    left, right = call.args
    size, entry = left.known.plus(right.known), left.entry.union(right.entry) if left.entry is not None else None
    match call.signature.parameters[0].name:
        case "list":
            return Estimate(1, size, entry)
        case "string" | "bytes":
            return Estimate(scaled(size.most, STRING), size)
        case _:
            return None


def _contained(call: _Call) -> Estimate | None:
    return Estimate(call.args[1].known.most) if call.signature.parameters[1].name == "list" else None


def _matches(call: _Call) -> Estimate | None:
    # The function, unlike the method, is not known to cel-go's estimator.
    return None if call.target is None else Estimate(_regex(call.target.known, call.args[0].known))


def _regex(text: Size, pattern: Size) -> int:
    return bounded(scaled(bounded(text.most + 1), STRING) * scaled(pattern.most, REGEX))


def _found(call: _Call) -> Estimate:
    text = call.subject.known
    return Estimate(_regex(text, call.args[0].known), Size(0, text.most))


def _contains(call: _Call) -> Estimate:
    text, part = call.subject.known, call.args[0].known
    return Estimate(bounded(scaled(text.most, STRING) * scaled(part.most, STRING)))


def _elements(call: _Call) -> Size | None:
    """How large a list's elements are, where it is a list."""
    target = call.subject
    if not target.type.of:
        return None
    found = call.root.at((*target.path.steps, "@items")) if target.path else None
    return UNKNOWN if found is None else Size(0, found.most)


def _gone_over(call: _Call) -> Estimate:
    """Functions of lists that look at every element, and of strings that search."""
    element = _elements(call)
    if element is None:
        return Estimate(scaled(call.subject.known.most, STRING))
    each = 1
    if call.subject.type.of[0].name in {"string", "bytes"}:
        each = bounded(1 + scaled(element.most, STRING))
    return Estimate(bounded(call.subject.known.most * each))


def _joined(call: _Call) -> Estimate:
    count, size = call.subject.known, Size(0, 0)
    element = _elements(call)
    if element is not None:
        size = count.times(element)
    if call.args:
        between = Size(max(count.least - 1, 0), max(count.most - 1, 0))
        size = size.plus(call.args[0].known.times(between))
    return Estimate(scaled(size.most, STRING), size)


def _split(call: _Call) -> Estimate:
    size = call.subject.known
    most = size.most
    if len(call.args) > 1 and call.args[1].value is not None:
        most = call.args[1].value % (MOST + 1)
    return Estimate(scaled(size.most, 2 * STRING), Size(0, most))


def _replaced(call: _Call) -> Estimate:
    text, old, new = call.subject.known, call.args[0].known, call.args[1].known
    times_most, kept_most = _times(text.most, old.least, counts=new.most > old.least)
    times_least, kept_least = _times(text.least, old.most, counts=new.least < old.most)
    size = Size(times_least, times_most).times(new).plus(Size(kept_least, kept_most))
    return Estimate(scaled(text.most, 2 * STRING), size)


def _times(text: int, old: int, *, counts: bool) -> tuple[int, int]:
    """How often it is replaced in a text of that length, if that counts for the bound, and how much of it is kept."""
    if old == 0:
        return bounded(text + 1), text
    return (math.ceil(text / old), 0) if counts else (0, text)


def _quoted(call: _Call) -> Estimate:
    size = call.args[0].known
    return Estimate(scaled(size.most, STRING), Size(bounded(size.least + 2), bounded(size.most * 2 + 2)))


def _to_bytes(call: _Call) -> Estimate | None:
    if call.signature.parameters[0].name != "string":
        return None
    size = call.args[0].known
    return Estimate(scaled(size.most, STRING), Size(size.least, bounded(size.most * 4)))


def _to_string(call: _Call) -> Estimate | None:
    if call.signature.parameters[0].name != "bytes":
        return None
    size = call.args[0].known
    return Estimate(scaled(size.most, STRING), Size(size.least // 4, size.most))


def _address(call: _Call) -> Estimate:
    return Estimate(1) if call.target is not None else _argument(call)


def _contains_address(call: _Call) -> Estimate:
    # The bytes of two addresses, at most 16 each; a text is read first, and a network is masked.
    cost = scaled(32, STRING)
    if call.signature.name == "containsCIDR":
        cost += scaled(16, STRING) + 1
    if call.signature.parameters[1].name == "string":
        cost += scaled(call.args[0].known.most, STRING)
    return Estimate(bounded(cost))


def _slice(call: _Call) -> Estimate:
    start, end = (arg.value for arg in call.args)
    count = (call.subject.known.most if end is None else end) - (start or 0)
    return _allocating(1, Size(count % (MOST + 1), count % (MOST + 1)))


def _range(call: _Call) -> Estimate:
    count = MOST if call.args[0].value is None else call.args[0].value
    return _allocating(1, Size(count, count))


def _sets(factor: float) -> Callable[[_Call], Estimate]:
    def estimate(call: _Call) -> Estimate:
        return Estimate(bounded(scaled(call.args[0].known.times(call.args[1].known).most, factor) + 1))

    return estimate


def _distinct(call: _Call) -> Estimate:
    size = call.subject.known
    return _allocating(2, size.times(size))


_KNOWN: dict[str, Callable[[_Call], Estimate | None]] = {
    **dict.fromkeys(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"), _compared),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _gone_over),
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim", "url"), _traversal(sized=True)),
    **dict.fromkeys(("cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"), _argument),
    **dict.fromkeys(("find", "findAll"), _found),
    **dict.fromkeys(("startsWith", "endsWith"), _argument),
    **dict.fromkeys(("containsIP", "containsCIDR"), _contains_address),
    **dict.fromkeys(("sets.contains", "sets.intersects"), _sets(1)),
    "sets.equivalent": _sets(2),
    "_+_": _added,
    "@in": _contained,
    "matches": _matches,
    "contains": _contains,
    "join": _joined,
    "split": _split,
    "replace": _replaced,
    "format": _traversal(),
    "strings.quote": _quoted,
    "bytes": _to_bytes,
    "string": _to_string,
    "ip": _address,
    "ip.isCanonical": _traversal(2),
    "slice": _slice,
    "lists.range": _range,
    "reverse": lambda call: _allocating(1, call.subject.known),
    "flatten": lambda call: _allocating(1, call.subject.known),
    "distinct": _distinct,
    "sort": lambda call: sorting(call.subject.known, call.subject.type.of[0]),
}
