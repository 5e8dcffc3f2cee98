"""Do a schema's CEL rules compile, and cost little enough: what kube-apiserver asks before it takes a CRD."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause, child, go_json, key
from kubesandbox.schema.cel import cost, programs
from kubesandbox.schema.cel.checker import check
from kubesandbox.schema.cel.errors import CompileError, InstantiationError
from kubesandbox.schema.cel.sizes import Declared, bounded, declared
from kubesandbox.schema.cel.values import escape
from kubesandbox.schema.node import Node, read
from kubesandbox.schema.rules import Rule

Raw = Mapping[str, Any]


#: apiextensions' StaticEstimatedCostLimit of one rule, and StaticEstimatedCRDCostLimit of all of a schema.
RULE_LIMIT, SCHEMA_LIMIT = 10_000_000, 100_000_000
_TOLD = 4


def rule_causes(schema: Raw, path: str) -> list[Cause]:
    """A cause for each rule that does not compile against the types of its place in the schema, or costs too much."""
    node = read(schema)
    if not node.rules_below:
        return []
    bill = _Bill()
    found = list(_walk(_Place(schema, node, path, bill, declared(schema, root=True), root=True)))
    return found + list(bill.causes(path))


@dataclass(slots=True)
class _Bill:
    """What all rules of a schema cost together, and which the most."""

    total: int = 0
    dearest: list[tuple[int, str]] = field(default_factory=list)

    def add(self, cost: int, path: str) -> None:
        self.total = bounded(self.total + cost)
        if cost >= SCHEMA_LIMIT // 100:
            self.dearest = sorted([*self.dearest, (cost, path)], key=lambda it: -it[0])[:_TOLD]

    def causes(self, path: str) -> Iterator[Cause]:
        if self.total <= SCHEMA_LIMIT:
            return
        detail = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
        for _, where in self.dearest:
            yield causes.forbidden(where, detail)
        what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        yield causes.forbidden(path, _exceeds(what, self.total, SCHEMA_LIMIT))


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in a schema: what stands there, and how often a value has it (None: as often as a request can)."""

    schema: Raw
    node: Node
    path: str
    bill: _Bill
    sizes: Declared | None
    often: int | None = 1
    uncorrelatable: str = ""
    root: bool = False

    def below(self, schema: Raw, node: Node, path: str, sizes: Declared | None, uncorrelatable: str = "") -> _Place:
        bound: int | None = 1
        if self.node.type == "array":
            bound = self.schema.get("maxItems")
        elif self.node.type == "object" and self.schema.get("additionalProperties") is not None:
            bound = self.schema.get("maxProperties")
        often = None if bound is None or self.often is None else bounded(self.often * max(bound, 0))
        return _Place(schema, node, path, self.bill, sizes, often, uncorrelatable or self.uncorrelatable)

    def checked(self, text: str, rule: Rule) -> tuple[programs.Program, int]:
        """An expression's program, and the most that it costs once."""
        known = programs.variables(self.node, root=self.root or self.node.embedded, optional_old=rule.optional_old)
        checked = check(text, known)
        return programs.Program(checked), cost.of(checked, self.sizes or Declared())


def _walk(place: _Place) -> Iterator[Cause]:
    schema, node, path = place.schema, place.node, place.path
    if not node.rules_below:
        return
    sizes = place.sizes or Declared()
    for name, sub in (schema.get("properties") or {}).items():
        held = sizes.fields.get(escape(name) or "")
        yield from _walk(place.below(sub, node.properties[name], key(child(path, "properties"), name), held))
    if node.values is not None:
        where = child(path, "additionalProperties")
        yield from _walk(place.below(schema["additionalProperties"], node.values, where, sizes.item))
    if node.items is not None:
        lost = "" if node.list_type == "map" else path
        below = place.below(schema["items"], node.items, child(path, "items"), sizes.item, place.uncorrelatable or lost)
        yield from _walk(below)
    for index, (raw, rule) in enumerate(zip(schema.get("x-kubernetes-validations") or (), node.rules, strict=True)):
        yield from _rule(raw, rule, place, f"{path}.x-kubernetes-validations[{index}]")


def _rule(raw: Raw, rule: Rule, place: _Place, path: str) -> Iterator[Cause]:
    where = child(path, "rule")
    try:
        program, once = place.checked(rule.rule, rule)
    except CompileError as wrong:
        failed = "program instantiation" if isinstance(wrong, InstantiationError) else "compilation"
        yield _invalid(where, raw, f"{failed} failed: {wrong}")
        return
    if program.type not in {"bool", "dyn"}:
        yield _invalid(where, raw, "cel expression must evaluate to a bool")
        return
    often = place.often if place.often is not None else (place.sizes or Declared()).cardinality
    yield from _costs("estimated rule cost", bounded(once * often), where, place.bill)
    if rule.message_expression:
        yield from _message(raw, rule, place, child(path, "messageExpression"))
    if "oldSelf" in program.names:
        if place.uncorrelatable:
            detail = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {place.uncorrelatable}"
            yield causes.invalid(where, rule.rule, detail)
    elif "optionalOldSelf" in raw:
        detail = "may not be set if oldSelf is not used in rule"
        yield causes.invalid(child(path, "optionalOldSelf"), raw["optionalOldSelf"], detail)


def _message(raw: Raw, rule: Rule, place: _Place, where: str) -> Iterator[Cause]:
    try:
        program, once = place.checked(rule.message_expression, rule)
    except CompileError as wrong:
        failed = "instantiation" if isinstance(wrong, InstantiationError) else "compilation"
        yield _invalid(where, raw, f"messageExpression {failed} failed: {wrong}")
        return
    if program.type not in {"string", "dyn"}:
        yield _invalid(where, raw, "messageExpression must evaluate to a string")
        return
    yield from _costs("estimated messageExpression cost", once, where, place.bill)


def _costs(what: str, amount: int, where: str, bill: _Bill) -> Iterator[Cause]:
    if amount > RULE_LIMIT:
        yield causes.forbidden(where, _exceeds(what, amount, RULE_LIMIT))
    bill.add(amount, where)


def _exceeds(what: str, amount: int, limit: int) -> str:
    factor = amount / limit
    shown = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return (
        f"{what} exceeds budget by factor of {shown} (try simplifying the rule, or adding maxItems, maxProperties, "
        "and maxLength where arrays, maps, and strings are declared)"
    )


def _invalid(where: str, rule: Raw, detail: str) -> Cause:
    """With the rule as kube-apiserver prints it: its internal struct, fields in order."""
    names = ("rule", "message", "messageExpression", "reason", "fieldPath", "optionalOldSelf")
    pairs = (
        (name[0].upper() + name[1:], rule.get(name, None if name in {"reason", "optionalOldSelf"} else ""))
        for name in names
    )
    shown = "{" + ",".join(f"{go_json(name)}:{go_json(value)}" for name, value in pairs) + "}"
    return Cause(where, causes.INVALID, f"Invalid value: {shown}: {detail}")
