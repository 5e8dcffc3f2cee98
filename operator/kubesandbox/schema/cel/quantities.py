"""Resource quantities (`1Gi`, `250m`) and semantic versions."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from kubesandbox.schema.cel.errors import EvaluationError

_BINARY = {suffix: Decimal(1024) ** power for power, suffix in enumerate(("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?)|[eE]([+-]?\d+))", re.ASCII)
_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)


def parse(text: str) -> Decimal:
    """What a quantity amounts to. `EvaluationError` for a text that is none."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise EvaluationError(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    number, suffix, exponent = Decimal(found[1]), found[2] or "", found[3]
    if exponent is not None:
        return number.scaleb(int(exponent))
    return number * _BINARY[suffix] if suffix in _BINARY else number.scaleb(_DECIMAL[suffix])


def _quantity(text: str) -> dict[str, Any]:
    return _held(parse(text))


def _held(amount: Decimal) -> dict[str, Any]:
    return {"mark": "quantity", "text": format(amount.normalize(), "f")}


def _amount(value: Any) -> Decimal:
    return Decimal(value["text"]) if isinstance(value, dict) else Decimal(value)


def _integer(value: dict[str, Any]) -> int:
    amount = _amount(value)
    if amount != amount.to_integral_value() or abs(amount) >= 2**63:
        raise EvaluationError("cannot convert value to integer")
    return int(amount)


def _compared(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def _version(text: str, normalize: bool = False) -> dict[str, Any]:
    if normalize:
        text = text.removeprefix("v")
        core = re.match(r"\d+(?:\.\d+)*", text, re.ASCII)
        if core and core[0].count(".") < 2:
            text = core[0] + ".0" * (2 - core[0].count(".")) + text[core.end() :]
        text = re.sub(r"(^|\.)0+(?=\d)", r"\1", text)
    if not _VERSION.fullmatch(text):
        raise EvaluationError(f'invalid semver "{text}"')
    return {"mark": "semver", "text": text}


def _precedence(value: dict[str, Any]) -> tuple[Any, ...]:
    found = _VERSION.fullmatch(value["text"])
    if found is None:
        raise EvaluationError("no such overload")
    parts = [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in (found[4] or "").split(".") if p]
    return (*(int(found[n]) for n in (1, 2, 3)), not parts, parts)


def _parses(convert: Callable[..., Any]) -> Callable[..., bool]:
    def parses(*args: Any) -> bool:
        try:
            convert(*args)
        except EvaluationError:
            return False
        return True

    return parses


def _measure(value: dict[str, Any]) -> Any:
    return _precedence(value) if value["mark"] == "semver" else _amount(value)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": lambda one, other: _held(_amount(one) + _amount(other)),
    "asApproximateFloat": lambda value: float(_amount(value)),
    "asInteger": _integer,
    "compareTo": lambda one, other: _compared(_measure(one), _measure(other)),
    "isGreaterThan": lambda one, other: _measure(one) > _measure(other),
    "isInteger": lambda value: _amount(value) == _amount(value).to_integral_value(),
    "isLessThan": lambda one, other: _measure(one) < _measure(other),
    "isQuantity": _parses(_quantity),
    "isSemver": _parses(_version),
    "major": lambda value: _precedence(value)[0],
    "minor": lambda value: _precedence(value)[1],
    "patch": lambda value: _precedence(value)[2],
    "quantity": _quantity,
    "semver": _version,
    "sign": lambda value: _compared(_amount(value), 0),
    "sub": lambda one, other: _held(_amount(one) - _amount(other)),
}
