"""`x-kubernetes-validations`: a schema's CEL rules, run on an object and on what it was before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubesandbox.schema import causes
from kubesandbox.schema.causes import JSON, Cause
from kubesandbox.schema.correlation import Correlation, by_keys, item_key
from kubesandbox.schema.fieldpaths import resolve
from kubesandbox.schema.node import Node

#: kube-apiserver cuts off a messageExpression's text past this (apis/cel MaxEvaluatedMessageExpressionSizeBytes).
_MESSAGE_LIMIT = 5 * 1024


@dataclass(slots=True)
class Rule:
    """One rule of a schema node."""

    rule: str
    message: str = ""
    message_expression: str = ""
    reason: str = causes.INVALID
    field_path: str = ""
    optional_old: bool = False

    @classmethod
    def read(cls, rule: Mapping[str, Any], schema: Mapping[str, Any]) -> Rule:
        """A rule of `schema`, its field path resolved."""
        return cls(
            rule=rule.get("rule") or "",
            message=rule.get("message") or "",
            message_expression=rule.get("messageExpression") or "",
            reason=rule.get("reason") or causes.INVALID,
            field_path=resolve(rule.get("fieldPath") or "", schema) or "",
            optional_old=bool(rule.get("optionalOldSelf")),
        )

    @property
    def text(self) -> str:
        """How the rule is named in an error: by its message, or by itself."""
        return (self.message or self.rule).strip()

    def said(self) -> str:
        return self.message.strip() or f"failed rule: {self.rule.strip()}"


@dataclass(frozen=True, slots=True)
class _Ratchet:
    """Whether what a rule finds may be passed over: the node, or the nearest comparable one above, is unchanged."""

    here: Correlation | None = None
    above: Correlation | None = None

    def holds(self) -> bool:
        return self.here.equal() if self.here is not None else self.above is not None and self.above.equal()

    def key(self, name: str) -> _Ratchet:
        if self.here is None:
            return self
        if self.above is None and name in {"apiVersion", "kind"}:
            return _Ratchet()
        return _Ratchet(self.here.key(name), self.here)

    def index(self, position: int) -> _Ratchet:
        return self if self.here is None else _Ratchet(self.here.index(position), self.here)


def broken(
    node: Node, new: JSON, old: JSON = None, correlation: Correlation | None = None, *, path: str = ""
) -> list[Cause]:
    """A cause for every rule that `new` breaks. Rules on `oldSelf` run where there is an old value.

    `path` is where a value sits that is no resource of its own, such as a default.
    """
    return list(_walk(node, new, old, path, _Ratchet(correlation), root=not path))


def _walk(node: Node, new: JSON, old: JSON, path: str, ratchet: _Ratchet, *, root: bool = False) -> Iterator[Cause]:
    # Structural schemas have no rules in allOf and the like: only what a value holds is walked.
    if new is None or not node.rules_below:
        return
    if node.rules:
        yield from _rules(node, new, old, path, ratchet, root=root)
    if isinstance(new, list) and node.items is not None:
        before = by_keys(old, node.map_keys) if node.list_type == "map" and isinstance(old, list) else {}
        for index, item in enumerate(new):
            was = before.get(item_key(item, node.map_keys)) if before else None
            yield from _walk(node.items, item, was, f"{path}[{index}]", ratchet.index(index))
    elif isinstance(new, dict):
        olds = old if isinstance(old, dict) else {}
        for name, part in new.items():
            known = node.child(name)
            if known is not None:
                where = causes.child(path, name) if name in node.properties else causes.key(path, name)
                yield from _walk(known, part, olds.get(name), where, ratchet.key(name))


def _rules(node: Node, new: JSON, old: JSON, path: str, ratchet: _Ratchet, *, root: bool) -> Iterator[Cause]:
    from kubesandbox.schema.cel import programs
    from kubesandbox.schema.cel.errors import EvaluationError
    from kubesandbox.schema.cel.values import bind

    root = root or node.embedded
    where, self_value = path or "<nil>", bind(node, new, root=root)
    old_value = None if old is None else bind(node, old, root=root)
    for rule in node.rules:
        program = programs.of(rule.rule, node, root=root, optional_old=rule.optional_old)
        on_old = "oldSelf" in program.names
        if on_old and old is None and not rule.optional_old:
            continue
        bindings = {"self": self_value, "oldSelf": old_value}
        if rule.optional_old:
            bindings["oldSelf"] = programs.optional(old_value)
        try:
            if program.evaluate(bindings) is True:
                continue
        except EvaluationError as wrong:
            yield causes.invalid(where, node.type, wrong.of_rule(rule.text))
            continue
        if on_old or not ratchet.holds():
            said = _expressed(rule, node, bindings, root=root) or rule.said()
            yield _cause(rule, node, new, path, said)


def _cause(rule: Rule, node: Node, new: JSON, path: str, said: str) -> Cause:
    where = (causes.child(path, rule.field_path) if rule.field_path else path) or "<nil>"
    shown = node.type not in {"object", "array"}
    match rule.reason:
        case causes.FORBIDDEN:
            return causes.forbidden(where, said)
        case causes.REQUIRED:
            return causes.required(where, said)
        case causes.DUPLICATE:
            return causes.duplicate(where, new) if shown else causes.duplicate_unshown(where)
        case _:
            return causes.invalid(where, new, said) if shown else causes.invalid_unshown(where, said)


def _expressed(rule: Rule, node: Node, bindings: Mapping[str, Any], *, root: bool) -> str:
    """What the messageExpression says; nothing where it fails, is empty, too long or of several lines."""
    from kubesandbox.schema.cel import programs
    from kubesandbox.schema.cel.errors import EvaluationError

    if not rule.message_expression:
        return ""
    try:
        program = programs.of(rule.message_expression, node, root=root, optional_old=rule.optional_old)
        text = program.evaluate(bindings)
    except EvaluationError:
        return ""
    text = text.strip() if isinstance(text, str) else ""
    return "" if "\n" in text or len(text.encode()) > _MESSAGE_LIMIT else text
