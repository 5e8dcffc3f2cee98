"""Do a schema's CEL rules compile: what kube-apiserver asks before it takes a CRD."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause, child, go_json, key
from kubesandbox.schema.cel import programs
from kubesandbox.schema.cel.errors import CompileError
from kubesandbox.schema.node import Node, read
from kubesandbox.schema.rules import Rule

Raw = Mapping[str, Any]


def rule_causes(schema: Raw, path: str) -> list[Cause]:
    """A cause for each rule that does not compile against the types of its place in the schema."""
    return list(_walk(schema, read(schema), path, root=True, uncorrelatable=""))


def _walk(schema: Raw, node: Node, path: str, *, root: bool, uncorrelatable: str) -> Iterator[Cause]:
    if not node.rules_below:
        return
    for name, sub in (schema.get("properties") or {}).items():
        where = key(child(path, "properties"), name)
        yield from _walk(sub, node.properties[name], where, root=False, uncorrelatable=uncorrelatable)
    if node.values is not None:
        where = child(path, "additionalProperties")
        yield from _walk(schema["additionalProperties"], node.values, where, root=False, uncorrelatable=uncorrelatable)
    if node.items is not None:
        lost = uncorrelatable or ("" if node.list_type == "map" else path)
        yield from _walk(schema["items"], node.items, child(path, "items"), root=False, uncorrelatable=lost)
    for index, (raw, rule) in enumerate(zip(schema.get("x-kubernetes-validations") or (), node.rules, strict=True)):
        where = f"{path}.x-kubernetes-validations[{index}]"
        yield from _rule(raw, rule, node, where, root=root, uncorrelatable=uncorrelatable)


def _rule(raw: Raw, rule: Rule, node: Node, path: str, *, root: bool, uncorrelatable: str) -> Iterator[Cause]:
    where = child(path, "rule")
    try:
        program = programs.of(rule.rule, node, root=root or node.embedded, optional_old=rule.optional_old)
    except CompileError as wrong:
        yield _invalid(where, raw, f"compilation failed: {wrong}")
        return
    if program.type not in {"bool", "dyn"}:
        yield _invalid(where, raw, "cel expression must evaluate to a bool")
        return
    if rule.message_expression:
        yield from _message(raw, rule, node, child(path, "messageExpression"), root=root)
    if "oldSelf" in program.names:
        if uncorrelatable:
            detail = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {uncorrelatable}"
            yield causes.invalid(where, rule.rule, detail)
    elif "optionalOldSelf" in raw:
        detail = "may not be set if oldSelf is not used in rule"
        yield causes.invalid(child(path, "optionalOldSelf"), raw["optionalOldSelf"], detail)


def _message(raw: Raw, rule: Rule, node: Node, where: str, *, root: bool) -> Iterator[Cause]:
    try:
        program = programs.of(rule.message_expression, node, root=root or node.embedded, optional_old=rule.optional_old)
    except CompileError as wrong:
        yield _invalid(where, raw, f"messageExpression compilation failed: {wrong}")
        return
    if program.type not in {"string", "dyn"}:
        yield _invalid(where, raw, "messageExpression must evaluate to a string")


def _invalid(where: str, rule: Raw, detail: str) -> Cause:
    """With the rule as kube-apiserver prints it: its internal struct, fields in order."""
    names = ("rule", "message", "messageExpression", "reason", "fieldPath", "optionalOldSelf")
    pairs = (
        (name[0].upper() + name[1:], rule.get(name, None if name in {"reason", "optionalOldSelf"} else ""))
        for name in names
    )
    shown = "{" + ",".join(f"{go_json(name)}:{go_json(value)}" for name, value in pairs) + "}"
    return Cause(where, causes.INVALID, f"Invalid value: {shown}: {detail}")
