"""Why a value was refused, in the words of kube-apiserver (apimachinery's `field.Error`)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

#: A plain JSON value; integers and floats stay apart, as Kubernetes keeps int64 and float64 apart.
JSON = Any

INVALID = "FieldValueInvalid"
TYPE_INVALID = "FieldValueTypeInvalid"
REQUIRED = "FieldValueRequired"
NOT_SUPPORTED = "FieldValueNotSupported"
DUPLICATE = "FieldValueDuplicate"
FORBIDDEN = "FieldValueForbidden"
TOO_LONG = "FieldValueTooLong"
TOO_MANY = "FieldValueTooMany"

#: After one of these a custom resource's CEL rules are not run (apiextensions' hasBlockingErr).
BLOCKING = frozenset({NOT_SUPPORTED, REQUIRED, TOO_LONG, TOO_MANY, TYPE_INVALID})

_WORDS = {
    INVALID: "Invalid value",
    TYPE_INVALID: "Invalid value",
    REQUIRED: "Required value",
    NOT_SUPPORTED: "Unsupported value",
    DUPLICATE: "Duplicate value",
    FORBIDDEN: "Forbidden",
    TOO_LONG: "Too long",
    TOO_MANY: "Too many",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of a Status's `details.causes`: where, the machine's word, the person's sentence.

    `str(cause)` is how it reads in the Status's own message.
    """

    field: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    @property
    def blocking(self) -> bool:
        """Whether kube-apiserver skips an object's CEL rules because of it."""
        return self.reason in BLOCKING

    def as_dict(self) -> dict[str, str]:
        """As the API's StatusCause."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


def invalid(path: str, value: JSON, detail: str = "", reason: str = INVALID) -> Cause:
    """A value that is shown together with what is wrong with it."""
    text = f"{_WORDS[reason]}: {show(value)}"
    return Cause(path, reason, f"{text}: {detail}" if detail else text)


def invalid_unshown(path: str, detail: str) -> Cause:
    """As `invalid`, for objects and lists, whose value kube-apiserver omits."""
    return Cause(path, INVALID, f"{_WORDS[INVALID]}: {detail}" if detail else _WORDS[INVALID])


def required(path: str, detail: str = "") -> Cause:
    return _worded(path, REQUIRED, detail)


def forbidden(path: str, detail: str = "") -> Cause:
    return _worded(path, FORBIDDEN, detail)


def duplicate(path: str, value: JSON) -> Cause:
    return invalid(path, value, reason=DUPLICATE)


def duplicate_unshown(path: str) -> Cause:
    return _worded(path, DUPLICATE, "")


def not_supported(path: str, value: JSON, supported: Sequence[str]) -> Cause:
    detail = "supported values: " + ", ".join(quote(s) for s in supported) if supported else ""
    return invalid(path, value, detail, reason=NOT_SUPPORTED)


def too_long(path: str, most: int) -> Cause:
    return _worded(path, TOO_LONG, f"may not be more than {most} {'byte' if most == 1 else 'bytes'}")


def too_many(path: str, actual: int, most: int) -> Cause:
    return invalid(path, actual, f"must have at most {most} {'item' if most == 1 else 'items'}", reason=TOO_MANY)


def unchecked() -> Cause:
    """Said when CEL rules were skipped, because the object is wrong in ways they might trip over."""
    return invalid(
        "<nil>",
        None,
        "some validation rules were not checked because the object was invalid; "
        "correct the existing errors to complete validation",
    )


def child(path: str, name: str) -> str:
    """`spec` + `routes` = `spec.routes`."""
    return f"{path}.{name}" if path else name


def key(path: str, name: str) -> str:
    """`spec.labels` + `a` = `spec.labels[a]`."""
    return f"{path}[{name}]"


def _worded(path: str, reason: str, detail: str) -> Cause:
    return Cause(path, reason, f"{_WORDS[reason]}: {detail}" if detail else _WORDS[reason])


class GoText(str):
    """What Go prints of a struct, whose fields keep their order: shown as it is."""

    __slots__ = ()


def go_struct(value: JSON) -> GoText:
    """A Go struct, or several, as `field.Error` prints them: JSON in the order of the fields."""
    return GoText(_ORDERED.encode(value))


def show(value: JSON) -> str:
    """A value as `field.Error` prints it: Go's %v for numbers, %q for strings, JSON for the rest."""
    if isinstance(value, GoText):
        return str(value)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, float):
        return go_float(value)
    return go_json(value)


_PRINTABLE = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_ESCAPED = {**_PRINTABLE, '"': '\\"', "\\": "\\\\"}


def quote(text: str) -> str:
    """Go's strconv.Quote."""
    return '"' + "".join(_ESCAPED.get(c) or (c if c.isprintable() else _escape(c)) for c in text) + '"'


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def go_float(number: float, *, exponent_from: int = 21) -> str:
    """The shortest text of a float64 as Go's %v has it: 2.0 is `2`, exponents below 1e-4 and from 1e21."""
    if not math.isfinite(number):
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[repr(number)]
    decimal = Decimal(repr(float(number))).normalize()
    exponent = decimal.adjusted()
    if number and not -5 < exponent < exponent_from:
        mantissa = format(decimal.scaleb(-exponent), "f")
        return f"{mantissa}e{exponent:+03d}"
    return format(decimal, "f")


_ORDERED = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_HTML = re.compile("[<>&\u2028\u2029]")


def go_json(value: JSON) -> str:
    """Go's json.Marshal: keys sorted, no spaces, `<`, `>` and `&` escaped."""
    text = _ENCODER.encode(_integral(value))
    return _HTML.sub(lambda m: f"\\u{ord(m[0]):04x}", text)


def _integral(value: JSON) -> JSON:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)
    if isinstance(value, dict):
        return {k: _integral(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_integral(v) for v in value]
    return value
