"""What a literal holds, as far as that is asked before anything is evaluated."""

from __future__ import annotations

import ast
import re

from kubesandbox.schema.cel import values
from kubesandbox.schema.cel.syntax import Expr, Literal
from kubesandbox.schema.node import compile_pattern

#: A literal's prefix and quotes, and the escapes that stand for one character each.
_QUOTED = re.compile(r"""([rRbB]*)("{3}|'{3}|"|')""")
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[xX][0-9a-fA-F]{2}|[0-7]{3}|.)", re.DOTALL)
_MARKS = {"\\?": "?", "\\`": "`"}


def number(tree: Literal) -> int | None:
    """An integer literal's value."""
    return int(tree.text, 0) if tree.kind == "int" else None


def text(tree: Expr) -> str | None:
    """A string literal's value; None for anything else."""
    if not isinstance(tree, Literal) or tree.kind != "string":
        return None
    found = _QUOTED.match(tree.text)
    if found is None:
        return None
    content = tree.text[found.end() : len(tree.text) - len(found[2])]
    return content if "r" in found[1].lower() else _ESCAPE.sub(lambda it: _character(it[0]), content)


def _character(escape: str) -> str:
    try:
        return _MARKS.get(escape) or str(ast.literal_eval(f'"{escape}"'))
    except (SyntaxError, ValueError):
        return escape[1:]


def length(tree: Literal) -> int:
    """How many characters a string literal has, or bytes; anything else has one."""
    found = _QUOTED.match(tree.text) if tree.kind in {"string", "bytes"} else None
    if found is None:
        return 1
    content = tree.text[found.end() : len(tree.text) - len(found[2])]
    if "r" not in found[1].lower():
        content = _ESCAPE.sub("x", content)
    return len(content.encode()) if tree.kind == "bytes" else len(content)


def refused(function: str, tree: Expr) -> bool:
    """Whether cel-go's validators refuse a literal argument of `timestamp`, `duration` or `matches`."""
    given = text(tree)
    if given is None:
        return False
    try:
        match function:
            case "timestamp":
                if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", given):
                    return True
                values.timestamp(given)
            case "duration":
                values.duration(given)
            case "matches":
                compile_pattern(given)
    except ValueError:
        return True
    return False


def no_pattern(tree: Expr) -> str:
    """What is wrong with a literal regular expression, as Go tells it; nothing if it is one, or no literal."""
    given = text(tree)
    if given is None:
        return ""
    try:
        compile_pattern(given)
    except ValueError as wrong:
        return f"error parsing regexp: {wrong}"
    return ""
