"""What an expression costs at worst, in cel-go's units: kube-apiserver refuses a rule that may cost too much.

As cel-go's `checker.Cost` counts, with macros as the loops that its parser makes of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kubesandbox.schema.cel import cost_of_calls, literals
from kubesandbox.schema.cel.checker import Checked
from kubesandbox.schema.cel.cost_of_calls import CREATE_LIST, CREATE_MAP, NOWHERE, Entry, Part
from kubesandbox.schema.cel.macros import two_variables
from kubesandbox.schema.cel.signatures import Signature
from kubesandbox.schema.cel.sizes import MOST, ONE, Declared, Size, bounded
from kubesandbox.schema.cel.syntax import Call, Expr, Ident, Index, ListOf, Literal, MapOf, Select
from kubesandbox.schema.cel.types import DYN, INT, CelType

_SCALARS = frozenset({"bool", "double", "duration", "int", "timestamp", "uint"})
#: Each round of a loop that stops early: reading the accumulator, the test, and the operator's read of it.
_ROUND = {"all": 3, "exists": 4}

Scope = Mapping[str, Part]


def of(checked: Checked, root: Declared) -> int:
    """The most that an expression costs whose `self` and `oldSelf` are values of `root`."""
    return bounded(_Estimate(checked, root).visit(checked.tree, {}).cost)


@dataclass(slots=True)
class _Estimate:
    checked: Checked
    root: Declared

    def visit(self, tree: Expr, scope: Scope) -> Part:
        type_ = self.checked.types.get(id(tree), DYN)
        match tree:
            case Literal():
                part = Part(
                    0, type_, size=Size(literals.length(tree), literals.length(tree)), value=literals.number(tree)
                )
            case Ident():
                part = self._ident(tree, scope, type_)
            case Select():
                part = self._select(tree, self.visit(tree.operand, scope), type_)
            case Index():
                part = self._index(tree, scope, type_)
            case ListOf():
                part = self._list([self.visit(item, scope) for item in tree.items], type_)
            case MapOf():
                part = self._map(tree, scope, type_)
            case Call():
                part = self._call(tree, scope, type_)
            case _:
                raise AssertionError(tree)
        return part

    def _ident(self, tree: Ident, scope: Scope, type_: CelType) -> Part:
        known = scope.get(tree.name)
        if known is None:
            return self._sized(Part(1, type_, NOWHERE.plus(tree.name)))
        return self._sized(replace(known, cost=1, size=None), known.size)

    def _sized(self, part: Part, otherwise: Size | None = None) -> Part:
        """The part with its size: by its schema, by its type, or else as is known of what it stands for."""
        if part.size is None and part.path:
            found = self.root.at(part.path.steps)
            part.size = None if found is None else Size(0, found.most)
        if part.size is None:
            part.size = ONE if _scalar(part.type) else otherwise
        return part

    def _select(self, tree: Select, operand: Part, type_: CelType) -> Part:
        if tree.optional:
            return self._sized(Part(operand.cost + 1, type_))
        struct = operand.type.name == "map" or operand.type.fields is not None
        return self._sized(Part(operand.cost + struct, type_, operand.path.plus(tree.name)))

    def _index(self, tree: Index, scope: Scope, type_: CelType) -> Part:
        operand, index = self.visit(tree.operand, scope), self.visit(tree.index, scope)
        cost = operand.cost + index.cost + 1
        if tree.optional or operand.type.name == "optional":
            return self._sized(Part(cost, type_))
        held = operand.entry.value if operand.entry is not None else None
        step = "@items" if operand.type.name == "list" else "@values"
        return self._sized(Part(cost, type_, operand.path.plus(step), size=held))

    @staticmethod
    def _list(items: list[Part], type_: CelType) -> Part:
        cost = sum(item.cost for item in items) + CREATE_LIST
        entry = Entry("list", ONE, _span(items))
        return Part(cost, type_, size=Size(len(items), len(items)), entry=entry)

    def _map(self, tree: MapOf, scope: Scope, type_: CelType) -> Part:
        keys = [self.visit(key, scope) for key, _ in tree.entries]
        values = [self.visit(value, scope) for _, value in tree.entries]
        cost = sum(part.cost for part in (*keys, *values)) + CREATE_MAP
        entry = Entry("map", _span(keys), _span(values))
        return Part(cost, type_, size=Size(len(keys), len(keys)), entry=entry)

    def _call(self, tree: Call, scope: Scope, type_: CelType) -> Part:
        if tree.name == "has" and tree.target is None and isinstance(tree.args[0], Select):
            select = tree.args[0]
            # Presence costs nothing here: apiserver's PresenceTestHasCost(false).
            return Part(self.visit(select.operand, scope).cost + select.optional, type_, size=ONE)
        known = self.checked.overloads.get(id(tree))
        if known is None and tree.target is not None:
            return self._macro(tree, self.visit(tree.target, scope), scope, type_)
        name, overloads = known or (tree.name, ())
        method = any(signature.method for signature in overloads)
        target = self.visit(tree.target, scope) if method and tree.target is not None else None
        return self._called(name, overloads, target, [self.visit(arg, scope) for arg in tree.args], type_)

    def _called(
        self, name: str, overloads: tuple[Signature, ...], target: Part | None, args: list[Part], type_: CelType
    ) -> Part:
        told = target.cost if target is not None else 0
        if name == "dyn":
            return Part(args[0].cost + 1, type_, size=args[0].size, entry=args[0].entry)
        most, size, entry = 0, None, None
        for signature in overloads:
            call = cost_of_calls.of(name, signature, target, args, self.root)
            most = max(most, call.cost)
            if call.size is not None:
                size = call.size if size is None else size.union(call.size)
            entry = call.entry or entry
        return self._sized(Part(told + most, type_, size=size, entry=entry))

    def _macro(self, tree: Call, over: Part, scope: Scope, type_: CelType) -> Part:
        variable, *rest = tree.args
        name = variable.name if isinstance(variable, Ident) else ""
        if tree.name in {"optMap", "optFlatMap"}:
            return self._opt_map(tree, over, scope, type_)
        if two_variables(tree):
            return self._two(tree, over, scope, type_)
        inner = {**scope, name: _element(over)}
        parts = [self.visit(part, inner) for part in rest]
        if isinstance(tree.target, Ident | Select):
            # cel-go asks for the range's size after the loop, when another path may stand in its place.
            over = self._sized(replace(over, size=None))
        if tree.name == "sortBy":
            return self._sort_by(over, parts[0], type_)
        rounds = over.known.most
        if tree.name in _ROUND:
            return Part(over.cost + rounds * (parts[0].cost + _ROUND[tree.name]) + 1, type_, size=ONE)
        if tree.name == "exists_one":
            return Part(over.cost + rounds * (parts[0].cost + 2) + 2, type_, size=ONE)
        # Each round adds a list of one to the accumulator: `map` and `filter` grow a list.
        added = self._sized(replace(inner[name], size=None)) if tree.name == "filter" else parts[-1]
        tested = sum(part.cost for part in (parts if tree.name == "filter" else parts[:-1]))
        adds = 2 + CREATE_LIST + (1 if tree.name == "filter" else added.cost)
        held = Entry("list", ONE, Size(0, 0).union(added.known))
        alone = tree.name == "map" and len(parts) == 1
        cost = over.cost + CREATE_LIST + rounds * (tested + adds) + 1
        return Part(cost, type_, size=over.known, entry=held if alone else held.union(Entry("list", ONE, Size(0, 0))))

    def _two(self, tree: Call, over: Part, scope: Scope, type_: CelType) -> Part:
        """Macros over index and item, or key and value."""
        key, value, *rest = (arg.name if isinstance(arg, Ident) else arg for arg in tree.args)
        inner = {**scope, str(key): _element(over, 1), str(value): _element(over, 2)}
        parts = [self.visit(part, inner) for part in rest if isinstance(part, Expr)]
        if isinstance(tree.target, Ident | Select):
            over = self._sized(replace(over, size=None))
        rounds = over.known.most
        if tree.name in _ROUND:
            return Part(over.cost + rounds * (parts[0].cost + _ROUND[tree.name]) + 1, type_, size=ONE)
        if tree.name in {"existsOne", "exists_one"}:
            return Part(over.cost + rounds * (parts[0].cost + 2) + 2, type_, size=ONE)
        made, tested = parts[-1], sum(part.cost for part in parts[:-1])
        # `cel.@mapInsert` takes the accumulator, and a key unless the entry has one
        start, step = {
            "transformList": (CREATE_LIST, 2 + CREATE_LIST),
            "transformMap": (CREATE_MAP, 3),
            "transformMapEntry": (CREATE_MAP, 2),
        }[tree.name]
        cost = over.cost + start + rounds * (tested + step + made.cost) + 1
        entry = Entry("list", ONE, Size(0, 0).union(made.known)) if tree.name == "transformList" else None
        return Part(cost, type_, size=over.known, entry=entry)

    def _opt_map(self, tree: Call, over: Part, scope: Scope, type_: CelType) -> Part:
        variable, body = tree.args
        name = variable.name if isinstance(variable, Ident) else ""
        held = over.type.of[0] if over.type.name == "optional" and over.type.of else DYN
        inner = {**scope, name: Part(1, held, size=ONE if _scalar(held) else None)}
        made = self.visit(body, inner)
        wraps = 1 if tree.name == "optMap" else 0
        return self._sized(Part(2 * over.cost + made.cost + CREATE_LIST + 2 + wraps, type_))

    @staticmethod
    def _sort_by(over: Part, by: Part, type_: CelType) -> Part:
        keys = 1 + CREATE_LIST + over.known.most * (2 + CREATE_LIST + by.cost) + 1
        sort = cost_of_calls.sorting(over.known, by.type)
        return Part(over.cost + CREATE_LIST + 1 + keys + sort.cost, type_, size=sort.size)


def _span(parts: list[Part]) -> Size:
    """The sizes of a literal's elements."""
    if not parts:
        return Size(0, 0)
    found = Size(MOST, 0)
    for part in parts:
        found = found.union(part.known)
    return found


def _element(over: Part, variable: int = 0) -> Part:
    """What a loop's variable stands for: a list's item or a map's key; of two, index or key (1) and value (2)."""
    kind = over.entry.kind if over.entry is not None else over.type.name
    listed = kind == "list"
    keyed = variable == 1 or (variable == 0 and not listed)
    type_ = over.type.of[0 if listed or keyed else -1] if over.type.of else DYN
    if listed and keyed:
        type_ = INT
    size = None
    if over.entry is not None:
        size = over.entry.key if keyed else over.entry.value
    step = ("@indices" if keyed else "@items") if listed else ("@keys" if keyed else "@values")
    return Part(1, type_, over.path.plus(step), size=size)


def _scalar(type_: CelType) -> bool:
    return type_.name in _SCALARS or (type_.name == "optional" and bool(type_.of) and _scalar(type_.of[0]))
