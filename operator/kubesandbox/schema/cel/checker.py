"""Does an expression fit the types of its variables; and the same expression in words that the library knows.

cel-go's checker, as far as expressions of Kubernetes need it, with cel-go's messages. What kube-apiserver would
take and this cannot do is refused by name, never passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from kubesandbox.schema.cel import literals, macros
from kubesandbox.schema.cel.errors import CompileError, InstantiationError
from kubesandbox.schema.cel.macros import Scope, Typed
from kubesandbox.schema.cel.signatures import Signature, signatures
from kubesandbox.schema.cel.syntax import Call, Expr, Ident, Index, ListOf, Literal, MapOf, Select, parse, where
from kubesandbox.schema.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    INT,
    NULL,
    STRING,
    TYPE,
    UINT,
    CelType,
    accepts,
    list_of,
    map_of,
    optional_of,
)  # fmt: skip
from kubesandbox.schema.cel.values import escape

_LITERALS = {"string": STRING, "bytes": BYTES, "int": INT, "uint": UINT, "float": DOUBLE, "bool": BOOL, "null": NULL}
_TYPE_NAMES = {"int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type"}
_INFIX = {"@in": "in"} | {f"_{o}_": o for o in ("&&", "||", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%")}
#: Functions of admission policies' `authorizer`, of which a schema's rules have none.
_AUTHORIZER = frozenset({"path", "group", "resource", "subresource", "namespace", "name", "serviceAccount", "check",
    "allowed", "reason", "error", "errored", "fieldSelector", "labelSelector"})  # fmt: skip
#: Values that the library holds as maps, or that are equal in any order: compared by a function of ours.
_OPAQUE = {"quantity", "ip", "cidr", "url", "semver"}
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Checked:
    """A checked expression: its type, its text for the library, the variables and our functions in it.

    `tree` with the types of its parts and the overloads of its calls, by the parts' ids, is what costs are told from.
    """

    type: CelType
    text: str
    names: frozenset[str]
    functions: frozenset[str]
    tree: Expr
    types: Mapping[int, CelType]
    overloads: Mapping[int, tuple[str, tuple[Signature, ...]]]


def check(source: str, variables: Mapping[str, CelType]) -> Checked:
    """The expression, checked. `CompileError` with all that is wrong, as cel-go words it."""
    checker, tree = _Checker(source, variables), parse(source)
    typed = checker.visit(tree, {})
    checker.errors = checker.errors or checker.late
    if checker.errors:
        raise CompileError("\n".join(text for _, text in sorted(checker.errors, key=lambda it: it[0])))
    if checker.unready:
        raise InstantiationError(checker.unready)
    return Checked(
        typed.type,
        typed.text,
        frozenset(checker.names),
        frozenset(checker.functions),
        tree,
        checker.types,
        checker.overloads,
    )


class _Checker:
    def __init__(self, source: str, variables: Mapping[str, CelType]) -> None:
        self.source, self.variables = source, variables
        self.errors: list[tuple[int, str]] = []
        self.names: set[str] = set()
        self.functions: set[str] = set()
        self.types: dict[int, CelType] = {}
        self.fitting: list[Signature] = []
        #: What is looked at once all types fit.
        self.late: list[tuple[int, str]] = []
        self.unready = ""
        #: Within `format`'s arguments, the only place where literals may be mixed.
        self.mixed = 0
        self.overloads: dict[int, tuple[str, tuple[Signature, ...]]] = {}

    def wrong(self, at: int, message: str) -> Typed:
        self.errors.append((at, where(self.source, at, message)))
        return Typed(DYN, "null")

    def ours(self, name: str, *args: str) -> str:
        """A call of one of our functions."""
        mangled = f"k8s_{name.replace('.', '_')}"
        self.functions.add(mangled)
        return f"{mangled}({', '.join(args)})"

    def visit(self, tree: Expr, scope: Scope) -> Typed:
        match tree:
            case Literal():
                text = f"({tree.text})" if tree.text.startswith("-") else tree.text
                typed = Typed(_LITERALS[tree.kind], text)
            case Ident():
                typed = self._ident(tree, scope)
            case Select():
                typed = self._select(tree, self.visit(tree.operand, scope))
            case Index():
                typed = self._index(tree, scope)
            case ListOf():
                items = [self.visit(item, scope) for item in tree.items]
                typed = Typed(list_of(self._one(tree.items, items)), f"[{', '.join(i.text for i in items)}]")
            case MapOf():
                typed = self._map(tree, scope)
            case Call():
                typed = self._call(tree, scope)
            case _:
                raise AssertionError(tree)
        self.types[id(tree)] = typed.type
        return typed

    def _one(self, trees: list[Expr], items: list[Typed]) -> CelType:
        """The one type of a literal's elements: kube-apiserver lets them not be mixed."""
        if not items:
            return DYN
        first = items[0].type
        for tree, item in zip(trees, items, strict=True):
            if self.mixed and item.type != first:
                return DYN
            if item.type != first and not (_holds_dyn(first) and accepts(first, item.type)):
                self.wrong(tree.at, f"expected type '{first}' but found '{item.type}'")
                return DYN
        return first

    def _map(self, tree: MapOf, scope: Scope) -> Typed:
        keys = [self.visit(key, scope) for key, _ in tree.entries]
        values = [self.visit(value, scope) for _, value in tree.entries]
        key = self._one([k for k, _ in tree.entries], keys)
        value = self._one([v for _, v in tree.entries], values)
        text = ", ".join(f"{k.text}: {v.text}" for k, v in zip(keys, values, strict=True))
        return Typed(map_of(key, value), f"{{{text}}}")

    def _ident(self, tree: Ident, scope: Scope) -> Typed:
        if tree.name in scope:
            return scope[tree.name]
        if tree.name in self.variables:
            self.names.add(tree.name)
            return Typed(self.variables[tree.name], tree.name)
        if tree.name in _TYPE_NAMES:
            return Typed(TYPE, tree.name)
        return self.wrong(tree.at, f"undeclared reference to '{tree.name}' (in container '')")

    def _field(self, type_: CelType, tree: Select, at: int | None = None) -> CelType:
        at = tree.at if at is None else at
        if type_.fields is not None:
            name = _held_as(tree.name, type_.fields)
            if name not in type_.fields:
                self.wrong(at, f"undefined field '{tree.name}'")
                return DYN
            return type_.fields[name]
        if type_.name == "map":
            return type_.of[1]
        if type_.name != "dyn":
            self.wrong(at, f"type '{type_}' does not support field selection")
        return DYN

    def _select(self, tree: Select, operand: Typed, at: int | None = None) -> Typed:
        if tree.optional or operand.type.name == "optional":
            inner = operand.type.of[0] if operand.type.name == "optional" else operand.type
            return Typed(
                optional_of(self._field(inner, tree)), self.ours("select", operand.text, json.dumps(tree.name))
            )
        field = self._field(operand.type, tree, at)
        if operand.type.fields is not None:
            return Typed(field, f"{operand.text}.{_held_as(tree.name, operand.type.fields)}")
        if _selectable(tree.name):  # what has no schema is not kept escaped: request.namespace
            return Typed(field, f"{operand.text}.{tree.name}")
        return Typed(field, f"{operand.text}[{json.dumps(tree.name)}]")

    def _index(self, tree: Index, scope: Scope) -> Typed:
        operand, index = self.visit(tree.operand, scope), self.visit(tree.index, scope)
        if tree.optional or operand.type.name == "optional":
            inner = operand.type.of[0] if operand.type.name == "optional" else operand.type
            result = self._resolve(tree.at, "_[_]", [inner, index.type], shown="_[?_]")
            text = self.ours("select", operand.text, index.text)
            return Typed(optional_of(result[0] if result else DYN), text)
        result = self._resolve(tree.at, "_[_]", [operand.type, index.type])
        return Typed(result[0] if result else DYN, f"{operand.text}[{index.text}]")

    def _call(self, tree: Call, scope: Scope) -> Typed:
        if tree.target is not None:
            return self._method(tree, tree.target, scope)
        if tree.name == "has":
            return self._has(tree, scope)
        return self._apply(tree, tree.name, [self.visit(arg, scope) for arg in tree.args], method=False)

    def _method(self, tree: Call, target: Expr, scope: Scope) -> Typed:
        macro = macros.written(self, tree, target, scope)
        if macro is not None:
            return macro
        self.mixed += tree.name == "format"
        args = [self.visit(arg, scope) for arg in tree.args]
        self.mixed -= tree.name == "format"
        space = _dotted(target)
        if space and space.split(".")[0] not in scope and f"{space}.{tree.name}" in signatures():
            return self._apply(tree, f"{space}.{tree.name}", args, method=False)
        return self._apply(tree, tree.name, [self.visit(target, scope), *args], method=True)

    def _has(self, tree: Call, scope: Scope) -> Typed:
        if len(tree.args) != 1 or not isinstance(tree.args[0], Select):
            at = tree.args[0].at if len(tree.args) == 1 else tree.at
            return self.wrong(at, "invalid argument to has() macro")
        select = tree.args[0]
        operand = self.visit(select.operand, scope)
        if select.optional or operand.type.name == "optional":
            return Typed(BOOL, f"{self._select(select, operand).text}.hasValue()")
        typed = self._select(select, operand, tree.at)
        return Typed(BOOL, f"has({typed.text})" if not typed.text.endswith("]") else
                     f"({json.dumps(select.name)} in {operand.text})")  # fmt: skip

    def _apply(self, tree: Call, name: str, args: list[Typed], *, method: bool) -> Typed:
        if name in _AUTHORIZER and (not method or args[0].type.name == "dyn"):
            return Typed(DYN, "null")
        if name not in signatures() and name not in _AUTHORIZER:
            return self.wrong(tree.at, f"undeclared reference to '{name}' (in container '')")
        if name in {"_&&_", "_||_"}:
            for arg, typed in zip(tree.args, args, strict=True):
                if not accepts(BOOL, typed.type):
                    self.wrong(arg.at, f"expected type 'bool' but found '{typed.type}'")
                    return Typed(BOOL, "false")
        found = self._resolve(tree.at, name, [arg.type for arg in args], method=method)
        self.overloads[id(tree)] = name, tuple(self.fitting)
        if found is None:
            return Typed(DYN, "null")
        if name in {"timestamp", "duration", "matches"} and literals.refused(name, tree.args[-1]):
            self.late.append((tree.args[-1].at, where(self.source, tree.args[-1].at, f"invalid {name} argument")))
        if name in {"find", "findAll"} and (said := literals.no_pattern(tree.args[0])):
            self.unready = said
        special = name in {"_==_", "_!=_", "@in", "_+_"} and any(_special(arg.type) for arg in args)
        return Typed(found[0], self._special(name, args) if special else self._written(found[1], args))

    def _written(self, signature: Signature, args: list[Typed]) -> str:
        """A call in words that the library knows."""
        name, texts = signature.name, [arg.text for arg in args]
        if not signature.native:
            return self.ours(name, *texts)
        if name in _INFIX:
            text = f"({texts[0]} {_INFIX[name]} {texts[1]})"
        elif name in {"!_", "-_"}:
            text = f"({name[0]}({texts[0]}))"
        elif name == "_?_:_":
            text = f"({texts[0]} ? {texts[1]} : {texts[2]})"
        elif signature.method:
            text = f"{texts[0]}.{name}({', '.join(texts[1:])})"
        else:
            text = f"{name}({', '.join(texts)})"
        return text

    def _special(self, name: str, args: list[Typed]) -> str:
        type_ = next(arg.type for arg in args if _special(arg.type))
        kind = json.dumps(type_.unordered or type_.name)
        keys = json.dumps(list(type_.keys))
        left, right = (arg.text for arg in args)
        match name:
            case "_+_":
                return self.ours("merge", left, right, kind, keys)
            case "@in":
                return self.ours("in", left, right)
            case _:
                same = self.ours("same", left, right, kind, keys)
                return same if name == "_==_" else f"(!{same})"

    def _resolve(
        self, at: int, name: str, types: list[CelType], *, method: bool = False, shown: str = ""
    ) -> tuple[CelType, Signature] | None:
        """The overload that takes these types, and what it gives."""
        results: list[tuple[CelType, Signature]] = []
        for signature in signatures().get(name, ()):
            bound: dict[str, CelType] = {}
            fits = signature.method == method and len(signature.parameters) == len(types)
            if fits and all(_unify(p, t, bound) for p, t in zip(signature.parameters, types, strict=True)):
                results.append((_bind(signature.result, bound), signature))
        self.fitting = [signature for _, signature in results]
        if not results:
            receiver, applied = (f"{types[0]}.", types[1:]) if method else ("", types)
            told = f"{receiver}({', '.join(map(str, applied))})"
            self.wrong(at, f"found no matching overload for '{shown or name}' applied to '{told}'")
            return None
        if any(result != results[0][0] for result, _ in results):
            return DYN, next((s for _, s in results if not s.native), results[0][1])
        return results[0]


def _held_as(name: str, fields: Mapping[str, CelType]) -> str:
    """The field that a name means: a word of CEL's grammar may be a field's name, which is kept escaped."""
    return name if name in fields or escape(name) != f"__{name}__" else f"__{name}__"


def _holds_dyn(type_: CelType) -> bool:
    return any(part.name == "dyn" or _holds_dyn(part) for part in type_.of)


def _selectable(name: str) -> bool:
    return _PLAIN_NAME.fullmatch(name) is not None


def _dotted(tree: Expr) -> str:
    """A chain of names as text: what may be a namespace."""
    if isinstance(tree, Ident):
        return tree.name
    if isinstance(tree, Select) and not tree.optional:
        below = _dotted(tree.operand)
        return f"{below}.{tree.name}" if below else ""
    return ""


def _special(type_: CelType) -> bool:
    return bool(type_.unordered) or type_.name in _OPAQUE or (type_.name == "list" and any(map(_special, type_.of)))


def _unify(parameter: CelType, given: CelType, bound: dict[str, CelType]) -> bool:
    if len(parameter.name) == 1:
        known = bound.get(parameter.name)
        if known is None or known.name in {"dyn", "null"}:
            bound[parameter.name] = given if known is None or given.name != "null" else known
            return known is None or accepts(given, known)
        return accepts(known, given)
    if parameter.name == "dyn" or given.name == "dyn":
        return True
    if parameter.name != given.name:
        return False
    return all(_unify(p, g, bound) for p, g in zip(parameter.of, given.of, strict=False))


def _bind(result: CelType, bound: Mapping[str, CelType]) -> CelType:
    if len(result.name) == 1:
        return bound.get(result.name, DYN)
    return CelType(result.name, tuple(_bind(part, bound) for part in result.of)) if result.of else result
