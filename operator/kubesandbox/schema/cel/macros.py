"""Macros: loops over lists and maps, written in words that the library knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from kubesandbox.schema.cel.syntax import Call, Expr, Ident
from kubesandbox.schema.cel.types import BOOL, DYN, INT, CelType, accepts, list_of, map_of, optional_of

_OF_ONE = frozenset({"all", "exists", "exists_one", "filter", "map", "sortBy"})
#: The same over index and item, or key and value, with the least and the most arguments.
_OF_TWO = {
    "all": (3, 3),
    "exists": (3, 3),
    "existsOne": (3, 3),
    "exists_one": (3, 3),
    "transformList": (3, 4),
    "transformMap": (3, 4),
    "transformMapEntry": (3, 4),
}


class Typed(NamedTuple):
    """A checked part: its type, and its text for the library."""

    type: CelType
    text: str


#: The variables of macros, and what the library is to read for them.
Scope = Mapping[str, Typed]


class Visitor(Protocol):
    """What a macro needs of the checker."""

    def visit(self, tree: Expr, scope: Scope) -> Typed: ...

    def wrong(self, at: int, message: str) -> Typed: ...

    def ours(self, name: str, *args: str) -> str: ...


def two_variables(tree: Call) -> bool:
    """Whether it is a macro over index and item, or key and value."""
    least, most = _OF_TWO.get(tree.name, (0, -1))
    return tree.target is not None and least <= len(tree.args) <= most


def written(checker: Visitor, tree: Call, over: Expr, scope: Scope) -> Typed | None:
    """A macro's type and text; None for what is no macro."""
    if two_variables(tree):
        return _over_two(checker, tree, over, scope)
    if tree.name in _OF_ONE and (len(tree.args) == 2 or (tree.name == "map" and len(tree.args) == 3)):
        return _comprehension(checker, tree, over, scope)
    if tree.name in {"optMap", "optFlatMap"} and len(tree.args) == 2:
        return _opt_map(checker, tree, over, scope)
    return None


def _comprehension(checker: Visitor, tree: Call, over: Expr, scope: Scope) -> Typed:
    variable, *rest = tree.args
    if not isinstance(variable, Ident):
        return checker.wrong(variable.at, "argument must be a simple name")
    target = checker.visit(over, scope)
    if target.type.name not in {"list", "map", "dyn"}:
        return checker.wrong(
            over.at,
            f"expression of type '{target.type}' cannot be range of a comprehension (must be list, map, or dynamic)",
        )
    item = target.type.of[0] if target.type.of else DYN
    inner = {**scope, variable.name: Typed(item, variable.name)}
    parts = [checker.visit(part, inner) for part in rest]
    _tested(checker, tree, rest, parts, item)
    if tree.name == "sortBy":
        keys = f"{target.text}.map({variable.name}, {parts[0].text})"
        return Typed(target.type, checker.ours("sortBy", target.text, keys))
    text = f"{target.text}.{tree.name}({', '.join([variable.name, *(p.text for p in parts)])})"
    if tree.name == "map":
        return Typed(list_of(parts[-1].type), text)
    return Typed(list_of(item) if tree.name == "filter" else BOOL, text)


def _tested(checker: Visitor, tree: Call, rest: list[Expr], parts: list[Typed], item: CelType) -> None:
    """Conditions are bools: what a macro makes of them says so if they are not."""
    if tree.name in {"all", "exists", "exists_one", "existsOne"}:
        if not accepts(BOOL, parts[0].type):
            if tree.name in {"all", "exists"}:
                checker.wrong(rest[0].at, f"expected type 'bool' but found '{parts[0].type}'")
            else:
                _no_condition(checker, tree.at, parts[0].type, INT)
    elif tree.name == "filter" or (tree.name != "sortBy" and len(parts) == 2):
        made = list_of(item if tree.name == "filter" else parts[1].type)
        if tree.name in {"transformMap", "transformMapEntry"}:
            made = map_of(DYN, DYN)
        if not accepts(BOOL, parts[0].type):
            _no_condition(checker, tree.at, parts[0].type, made)


def _no_condition(checker: Visitor, at: int, found: CelType, made: CelType) -> None:
    checker.wrong(at, f"found no matching overload for '_?_:_' applied to '({found}, {made}, {made})'")


def _over_two(checker: Visitor, tree: Call, over: Expr, scope: Scope) -> Typed:
    """A macro over index and item, or key and value, as one over the first that looks up the second."""
    key, value, *rest = tree.args
    for variable in (key, value):
        if not isinstance(variable, Ident):
            return checker.wrong(variable.at, "argument must be a simple name")
    target = checker.visit(over, scope)
    key_type = INT if target.type.name == "list" else target.type.of[0] if target.type.of else DYN
    value_type = target.type.of[-1] if target.type.of else DYN
    first = key.name if isinstance(key, Ident) else ""
    inner = {
        **scope,
        first: Typed(key_type, first),
        value.name if isinstance(value, Ident) else "": Typed(value_type, f"{target.text}[{first}]"),
    }
    parts = [checker.visit(part, inner) for part in rest]
    _tested(checker, tree, rest, parts, key_type)
    over_text = target.text if target.type.name == "map" else checker.ours("keys", target.text)
    texts = [part.text for part in parts]
    match tree.name:
        case "transformList":
            return Typed(list_of(parts[-1].type), f"{over_text}.map({', '.join([first, *texts])})")
        case "transformMap":
            pairs = f"{over_text}.map({', '.join([first, *texts[:-1], f'[{first}, {texts[-1]}]'])})"
            return Typed(map_of(key_type, parts[-1].type), checker.ours("pairs", pairs))
        case "transformMapEntry":
            maps = f"{over_text}.map({', '.join([first, *texts])})"
            return Typed(parts[-1].type, checker.ours("merged", maps))
        case other:
            name = "exists_one" if other == "existsOne" else other
            return Typed(BOOL, f"{over_text}.{name}({first}, {texts[0]})")


def _opt_map(checker: Visitor, tree: Call, over: Expr, scope: Scope) -> Typed:
    variable, body = tree.args
    if not isinstance(variable, Ident):
        return checker.wrong(variable.at, "argument must be a simple name")
    target = checker.visit(over, scope)
    inner = target.type.of[0] if target.type.name == "optional" else DYN
    typed = checker.visit(body, {**scope, variable.name: Typed(inner, variable.name)})
    mapped = f"[{target.text}.value()].map({variable.name}, {typed.text})[0]"
    flat = tree.name == "optFlatMap"
    some = mapped if flat else f"optional.of({mapped})"
    result = typed.type if flat else optional_of(typed.type)
    return Typed(result, f"({target.text}.hasValue() ? {some} : optional.none())")
