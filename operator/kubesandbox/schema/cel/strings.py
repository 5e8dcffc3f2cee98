"""cel-go's extended strings, Kubernetes' regular expressions, and conversions to text."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from kubesandbox.schema.causes import go_float
from kubesandbox.schema.cel.errors import EvaluationError


def _within(index: int, size: int) -> int:
    if not 0 <= index <= size:
        raise EvaluationError(f"index out of range: {index}")
    return index


def _char_at(text: str, index: int) -> str:
    return text[_within(index, len(text)) :][:1]


def _index_of(text: Any, part: Any, start: int = 0) -> int:
    if isinstance(text, list):
        return text.index(part) if part in text else -1
    return text.find(part, _within(start, len(text))) if part else start


def _last_index_of(text: Any, part: Any, start: int | None = None) -> int:
    if isinstance(text, list):
        return len(text) - 1 - text[::-1].index(part) if part in text else -1
    end = len(text) if start is None else _within(start, len(text)) + len(part)
    return text.rfind(part, 0, end) if part else min(end, len(text))


def _replace(text: str, old: str, new: str, times: int = -1) -> str:
    return text.replace(old, new, times)


def _split(text: str, separator: str, times: int = -1) -> list[str]:
    if times == 0:
        return []
    if not separator:
        chars = list(text)
        return chars if times < 0 or times >= len(chars) else [*chars[: times - 1], "".join(chars[times - 1 :])]
    return text.split(separator, times - 1 if times > 0 else -1)


def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else _within(end, len(text))
    if start > stop:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {stop}")
    return text[_within(start, len(text)) : stop]


_UPPER = str.maketrans({chr(c): chr(c - 32) for c in range(ord("a"), ord("z") + 1)})
_LOWER = str.maketrans({chr(c): chr(c + 32) for c in range(ord("A"), ord("Z") + 1)})
_QUOTED = dict(zip('\a\b\f\n\r\t\v\\"', (f"\\{c}" for c in 'abfnrtv\\"'), strict=True))


def _quote(text: str) -> str:
    return '"' + "".join(_QUOTED.get(char, char) for char in text) + '"'


def _regex(pattern: str) -> re.Pattern[str]:
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        compiled: re.Pattern[str] = re2.compile(pattern, options)
    except re2.error:
        raise EvaluationError(f"Illegal regex: error parsing regexp: `{pattern}`") from None
    return compiled


def _find(text: str, pattern: str) -> str:
    found = _regex(pattern).search(text)
    return found.group(0) if found else ""


def _find_all(text: str, pattern: str, most: int = -1) -> list[str]:
    found = [match.group(0) for match in _regex(pattern).finditer(text)]
    return found if most < 0 else found[:most]


def to_text(value: Any) -> str:
    """CEL's string()."""
    if isinstance(value, datetime):
        text = value.astimezone(UTC).isoformat().replace("+00:00", "")
        return (text.rstrip("0") if "." in text else text) + "Z"
    for kind, convert in _TEXTS.items():
        if isinstance(value, kind):
            return convert(value)
    return str(value)


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None


_TEXTS: dict[type, Callable[[Any], str]] = {
    bool: lambda value: "true" if value else "false",
    float: go_float,
    bytes: _decoded,
    timedelta: lambda value: f"{go_float(value.total_seconds())}s",
    dict: lambda value: str(value["text"]),
}


def _to_bool(value: Any) -> bool:
    words = {"true": True, "True": True, "TRUE": True, "t": True, "1": True}
    words |= {"false": False, "False": False, "FALSE": False, "f": False, "0": False}
    if isinstance(value, bool):
        return value
    if value not in words:
        raise EvaluationError(f"type conversion error from 'string' to 'bool': {value}")
    return words[value]


_CLAUSE = re.compile(r"%(%|(?:\.(\d+))?([a-zA-Z]))")


def _format(template: str, args: list[Any]) -> str:
    values = iter(args)

    def clause(match: re.Match[str]) -> str:
        if match[1] == "%":
            return "%"
        try:
            return _formatted(next(values), match[3], 6 if match[2] is None else int(match[2]))
        except StopIteration:
            raise EvaluationError(f"index {len(args)} out of range") from None

    return _CLAUSE.sub(clause, template)


def _formatted(value: Any, verb: str, precision: int) -> str:
    if verb == "s":
        return _shown(value)
    if verb in "xX":
        text = f"{value:x}" if isinstance(value, int) else (value.encode() if isinstance(value, str) else value).hex()
        return text.upper() if verb == "X" else text
    if verb in "fe" and isinstance(value, int | float):
        return f"{value:.{precision}{verb}}"
    if verb in "dbo" and isinstance(value, int | float):
        return str(value) if verb == "d" else f"{int(value):{verb}}"
    raise EvaluationError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_shown(k)}: {_shown(v)}" for k, v in sorted(value.items())) + "}"
    return to_text(value)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "bool": _to_bool,
    "charAt": _char_at,
    "find": _find,
    "findAll": _find_all,
    "format": _format,
    "indexOf": _index_of,
    "join": lambda items, separator="": separator.join(items),
    "lastIndexOf": _last_index_of,
    "lowerAscii": lambda text: text.translate(_LOWER),
    "replace": _replace,
    "split": _split,
    "string": to_text,
    "strings.quote": _quote,
    "substring": _substring,
    "trim": lambda text: text.strip(),
    "upperAscii": lambda text: text.translate(_UPPER),
}
