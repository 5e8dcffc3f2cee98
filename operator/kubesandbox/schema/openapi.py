"""Does a value follow its schema: types, formats, bounds, enums, junctors. In kube-openapi's order and words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from kubesandbox.schema import causes
from kubesandbox.schema.causes import JSON, Cause
from kubesandbox.schema.correlation import Correlation
from kubesandbox.schema.node import Node

_INT64 = range(-(2**63), 2**63)
_INT32 = range(-(2**31), 2**31)


@dataclass(slots=True)
class Findings:
    """What is wrong, once each, and how many checks were made (which of several alternatives came nearest)."""

    base: str = ""
    causes: dict[str, Cause] = field(default_factory=dict)
    count: int = 0

    def at(self, path: str) -> str:
        """The field's name in a cause: validation paths begin with a dot where the root is a map."""
        name = path.removeprefix(".")
        return (causes.child(self.base, name) if name else self.base) or "<nil>"

    def add(self, text: str, cause: Cause) -> None:
        """`text` is kube-openapi's own sentence: the same one twice is one finding."""
        self.causes.setdefault(text, cause)

    def invalid(self, path: str, value: JSON, what: str) -> None:
        text = f"{path} in body {what}"
        self.add(text, causes.invalid(self.at(path), value, text))

    def wrong_type(self, path: str, wanted: str, found: str) -> None:
        text = f"{path} in body must be of type {wanted}: {causes.quote(found)}"
        self.add(text, causes.invalid(self.at(path), found, text, reason=causes.TYPE_INVALID))

    def general(self, text: str) -> None:
        """What kube-openapi does not tie to a field."""
        self.add(text, causes.invalid(self.base or "<nil>", "", text))

    def take(self, other: Findings) -> None:
        for text, cause in other.causes.items():
            self.add(text, cause)
        self.count += other.count


def validate(node: Node, value: JSON, old: Correlation | None = None, *, base: str = "") -> list[Cause]:
    """Every cause to refuse `value`; with `old`, none that was there before in a part that did not change.

    `base` is where the value sits in its object: the status of a status update is validated by itself.
    """
    found = Findings(base)
    _check(node, value, "", found, old)
    return list(found.causes.values())


def _check(node: Node, value: JSON, path: str, found: Findings, old: Correlation | None) -> None:
    before = set(found.causes) if old is not None else None
    if isinstance(value, int) and not isinstance(value, bool) and value not in _INT64:
        value = float(value)  # what does not fit an int64 is read as a float64
    if value is None:
        if node.types and not node.nullable:
            found.wrong_type(path, ",".join(node.types), "null")
        else:
            found.count += 1
        _enum(node, value, path, found)
    else:
        _check_value(node, value, path, found, old)
    if before is not None and old is not None and len(found.causes) > len(before) and old.equal():
        found.causes = {text: cause for text, cause in found.causes.items() if text in before}


def _check_value(node: Node, value: JSON, path: str, found: Findings, old: Correlation | None) -> None:
    if node.types or node.format:
        _type(node, value, path, found)
        found.count += 1
    if node.all_of or node.any_of or node.one_of or node.not_:
        _junctors(node, value, path, found, old)
    found.count += 2
    if isinstance(value, str):
        _string(node, value, path, found)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _number(node, value, path, found)
    elif isinstance(value, list):
        _list(node, value, path, found, old)
    _enum(node, value, path, found)
    found.count += 2
    if isinstance(value, dict):
        _object(node, value, path, found, old)
        found.count += 1


def type_of(value: JSON) -> str:
    """A value's JSON type; int and float are told apart."""
    names = {bool: "boolean", str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _type(node: Node, value: JSON, path: str, found: Findings) -> None:
    types, kind = node.types, type_of(value)
    fits = (
        kind in types
        or (kind == "number" and "integer" in types and _whole(value))
        or (kind == "integer" and "number" in types)
    )
    numeric = "number" in types or "integer" in types
    text = kind in {"string", "array"}
    if not text and node.format and not fits:
        native = {"integer": "int64", "number": "float64"}.get(kind, "")
        found.wrong_type(path, node.format, native)
    elif fits or (not numeric and node.format and text):
        found.count += 1
    else:
        found.wrong_type(path, ",".join(types), kind)


def _whole(number: float) -> bool:
    """go-openapi's IsFloat64AJSONInteger: whole but for a billionth, within what a double counts exactly."""
    if not math.isfinite(number) or abs(number) > 2**53 - 1:
        return False
    whole = math.trunc(number)
    if number == whole:
        return True
    return bool(whole) and abs(number - whole) / (abs(number) + abs(whole)) < 1e-9


def _junctors(node: Node, value: JSON, path: str, found: Findings, old: Correlation | None) -> None:
    # Nested schemas sit at the same place: their fields are ratcheted one by one, they themselves are not.
    where = causes.quote(path)
    if node.any_of:
        passed, nearest = _alternatives(node.any_of, value, path, found, old, first=True)
        if not passed:
            found.general(f"{where} must validate at least one schema (anyOf)")
        found.take(nearest)
    if node.one_of:
        passed, nearest = _alternatives(node.one_of, value, path, found, old)
        if passed != 1:
            why = f"Found {passed} valid alternatives" if passed else "Found none valid"
            found.general(f"{where} must validate one and only one schema (oneOf). {why}")
        if passed < 2:
            found.take(nearest)
    if node.all_of:
        valid = 0
        for part in node.all_of:
            result = Findings(found.base)
            _check_value(part, value, path, result, old)
            valid += not result.causes
            found.take(result)
        if valid != len(node.all_of):
            found.general(f"{where} must validate all the schemas (allOf){'' if valid else '. None validated'}")
    if node.not_:
        result = Findings(found.base)
        _check_value(node.not_, value, path, result, old)
        if not result.causes:
            found.general(f"{where} must not validate the schema (not)")


def _alternatives(
    nodes: tuple[Node, ...], value: JSON, path: str, found: Findings, old: Correlation | None, *, first: bool = False
) -> tuple[int, Findings]:
    """How many hold, and the findings to tell: of the first that holds, else of the one that came nearest."""
    passed, nearest, success = 0, None, None
    for node in nodes:
        result = Findings(found.base)
        _check_value(node, value, path, result, old)
        if not result.causes:
            passed += 1
            success = success or result
            if first:
                break
        elif nearest is None or result.count > nearest.count:
            nearest = result
    return passed, success or nearest or Findings(found.base)


def _string(node: Node, value: str, path: str, found: Findings) -> None:
    if node.max_length is not None and len(value) > node.max_length:
        text = f"{path} in body should be at most {node.max_length} chars long"
        found.add(text, causes.too_long(found.at(path), node.max_length))
    elif node.min_length is not None and len(value) < node.min_length:
        found.invalid(path, value, f"should be at least {node.min_length} chars long")
    elif node.matches and not node.matches(value):
        found.invalid(path, value, f"should match '{node.pattern}'")
    found.count += 1
    if node.check_format:
        if not node.check_format(value):
            found.wrong_type(path, node.format, value)
        found.count += 1


def _number(node: Node, value: float, path: str, found: Findings) -> None:
    _range(node, value, "Checked", path, found)
    if (factor := node.multiple_of) is not None:
        exact = isinstance(value, int) and _range(node, factor, "MultipleOf", path, found)
        if not _is_multiple(value, int(factor) if exact else factor):
            found.invalid(path, value, f"should be a multiple of {_text(int(factor) if exact else float(factor))}")
    if (least := node.minimum) is not None:
        exact = _range(node, least, "Minimum boundary", path, found) and isinstance(value, int)
        bound = int(least) if exact else float(least)
        if value <= bound if node.exclusive_minimum else value < bound:
            word = "greater than" if node.exclusive_minimum else "greater than or equal to"
            found.invalid(path, value, f"should be {word} {_text(bound)}")
    if (most := node.maximum) is not None:
        exact = _range(node, most, "Maximum boundary", path, found) and isinstance(value, int)
        bound = int(most) if exact else float(most)
        if value >= bound if node.exclusive_maximum else value > bound:
            word = "less than" if node.exclusive_maximum else "less than or equal to"
            found.invalid(path, value, f"should be {word} {_text(bound)}")
    found.count += 2


def _text(number: float) -> str:
    return causes.go_float(number) if isinstance(number, float) else str(number)


def _range(node: Node, number: float, what: str, path: str, found: Findings) -> bool:
    """Whether a number (the value, or a bound of the schema) fits the schema's numeric type."""
    if node.type != "integer":
        fits = node.format != "float" or abs(number) <= 3.4028235677973366e38
    else:
        fits = float(number).is_integer() and int(number) in (_INT32 if node.format == "int32" else _INT64)
    if not fits:
        named = f"with format {node.format}" if node.format else "(default format)"
        found.general(f"{what} value must be of type {node.type} {named} in {path}")
    return fits


def _is_multiple(value: float, factor: float) -> bool:
    if isinstance(value, int) and isinstance(factor, int):
        return factor > 0 and value % factor == 0
    return _whole(1 / factor * value if factor < 1 else value / factor)


def _list(node: Node, value: list[JSON], path: str, found: Findings, old: Correlation | None) -> None:
    if node.items is not None:
        for index, item in enumerate(value):
            _check(node.items, item, f"{path}[{index}]", found, old.index(index) if old else None)
    size = len(value)
    if node.min_items is not None and size < node.min_items:
        found.invalid(path, size, f"should have at least {node.min_items} items")
    if node.max_items is not None and size > node.max_items:
        text = f"{path} in body should have at most {node.max_items} items"
        found.add(text, causes.too_many(found.at(path), size, node.max_items))
    found.count += 2


def _enum(node: Node, value: JSON, path: str, found: Findings) -> None:
    if not node.enum or any(_convertible(value, allowed) for allowed in node.enum):
        return
    shown = [allowed if isinstance(allowed, str) else causes.go_json(allowed) for allowed in node.enum]
    found.add(f"{path} in body should be one of {shown}", causes.not_supported(found.at(path), value, shown))


def _convertible(value: JSON, allowed: JSON) -> bool:
    """Equal after Go's conversion to the allowed value's type; null is never equal."""
    if value is None or allowed is None:
        return False
    numeric = (int, float)
    if type(value) is not type(allowed) and type(value) in numeric and type(allowed) in numeric:
        return math.isfinite(value) and type(allowed)(value) == allowed
    return type(value) is type(allowed) and bool(value == allowed)


def _object(node: Node, value: dict[str, JSON], path: str, found: Findings, old: Correlation | None) -> None:
    size = len(value)
    if node.min_properties is not None and size < node.min_properties:
        found.invalid(path, size, f"should have at least {node.min_properties} properties")
    if node.max_properties is not None and size > node.max_properties:
        text = f"{path} in body should have at most {node.max_properties} properties"
        found.add(text, causes.too_many(found.at(path), size, node.max_properties))
    properties, values = node.properties, node.values
    for name, part in value.items():
        if (known := properties.get(name)) is not None:
            _check(known, part, f"{path}.{name}" if path else name, found, _field(old, path, name))
        elif values is not None:
            _check(values, part, f"{path}.{name}", found, _field(old, path, name))
    for name in node.required:
        if name not in value:
            where = f"{path}.{name}"
            found.add(f"{where} in body is required", causes.required(found.at(where)))


def _field(old: Correlation | None, path: str, name: str) -> Correlation | None:
    # At the root these two are the request's, not the object's: old and new were converted to the same version.
    return None if old is None or (not path and name in {"apiVersion", "kind"}) else old.key(name)
