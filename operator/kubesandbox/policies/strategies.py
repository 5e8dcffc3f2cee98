"""ValidatingAdmissionPolicy and its binding as kinds: defaults, and what makes them invalid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kubesandbox import errors
from kubesandbox.builtin.label_selectors import validate_selector
from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.objects import Object, child
from kubesandbox.policies.evaluation import VARIABLES
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause
from kubesandbox.strategy import Request

if TYPE_CHECKING:
    from kubesandbox.schema.cel.types import CelType

OPERATIONS = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"]
REASONS = ["Forbidden", "Invalid", "RequestEntityTooLarge"]


def _default_constraints(constraints: Object) -> None:
    constraints.setdefault("matchPolicy", "Equivalent")
    constraints.setdefault("namespaceSelector", {})
    constraints.setdefault("objectSelector", {})
    for rule in (*(constraints.get("resourceRules") or ()), *(constraints.get("excludeResourceRules") or ())):
        rule.setdefault("scope", "*")


def _rules(constraints: Object, path: str) -> Iterator[Cause]:
    for index, rule in enumerate(constraints.get("resourceRules") or ()):
        at = f"{path}.resourceRules[{index}]"
        for key in ("operations", "apiGroups", "apiVersions", "resources"):
            if not rule.get(key):
                yield causes.required(f"{at}.{key}")
        for number, operation in enumerate(rule.get("operations") or ()):
            if operation not in OPERATIONS:
                yield causes.not_supported(f"{at}.operations[{number}]", operation, OPERATIONS)


class PolicyStrategy(BuiltinStrategy):
    """ValidatingAdmissionPolicies."""

    checks_change = ""
    checks_whole = "plain"
    unconditional_update = False
    counts_generations = True
    has_status = True

    def default(self, obj: Object) -> None:
        spec = child(obj, "spec")
        spec.setdefault("failurePolicy", "Fail")
        if spec.get("matchConstraints") is not None:
            _default_constraints(spec["matchConstraints"])

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        spec = obj["spec"]
        constraints = spec.get("matchConstraints")
        found = list(_rules(constraints or {}, "spec.matchConstraints"))
        found += _words(spec)
        if constraints is None:
            found.append(causes.required("spec.matchConstraints"))
        elif not constraints.get("resourceRules"):
            found.append(causes.required("spec.matchConstraints.resourceRules"))
        if spec.get("auditAnnotations"):
            raise errors.not_implemented("auditAnnotations: there is no audit log")
        if not spec.get("validations"):
            text = "validations or auditAnnotations must contain at least one item"
            found += [causes.required(f"spec.{key}", text) for key in ("validations", "auditAnnotations")]
        known = _Known()
        for index, condition in enumerate(spec.get("matchConditions") or ()):
            found += known.expression(condition, f"spec.matchConditions[{index}]")
        for index, variable in enumerate(spec.get("variables") or ()):
            found += known.variable(variable, f"spec.variables[{index}]")
        for index, validation in enumerate(spec.get("validations") or ()):
            at = f"spec.validations[{index}]"
            found += known.expression(validation, at)
            if validation.get("messageExpression"):
                found += known.compiles(validation["messageExpression"], f"{at}.messageExpression", "string")
            if validation.get("reason") and validation["reason"] not in REASONS:
                found.append(causes.not_supported(f"{at}.reason", validation["reason"], REASONS))
        return found

    def created(self, obj: Object, request: Request) -> None:
        _observe(obj, request)

    def updated(self, obj: Object, old: Object, request: Request) -> None:
        _observe(obj, request)


_SCOPES = ["*", "Cluster", "Namespaced"]


def _words(spec: Object) -> list[Cause]:
    """Words that a policy may not use, and selectors that are none."""
    found: list[Cause] = []
    if spec["failurePolicy"] not in {"Fail", "Ignore"}:
        found.append(causes.not_supported("spec.failurePolicy", spec["failurePolicy"], ["Fail", "Ignore"]))
    params = spec.get("paramKind")
    if params is not None:
        found += [causes.required(f"spec.paramKind.{key}") for key in ("apiVersion", "kind") if not params.get(key)]
    constraints, at = spec.get("matchConstraints") or {}, "spec.matchConstraints"
    policy = constraints.get("matchPolicy", "Equivalent")
    if policy not in {"Equivalent", "Exact"}:
        found.append(causes.not_supported(f"{at}.matchPolicy", policy, ["Equivalent", "Exact"]))
    for key in ("namespaceSelector", "objectSelector"):
        found += validate_selector(constraints.get(key) or {}, f"{at}.{key}")
    for index, rule in enumerate(constraints.get("resourceRules") or ()):
        if rule.get("scope", "*") not in _SCOPES:
            found.append(causes.not_supported(f"{at}.resourceRules[{index}].scope", rule["scope"], _SCOPES))
    return found


def _observe(obj: Object, request: Request) -> None:
    """The status controller's note that the policy has been seen."""
    generation = obj["metadata"].get("generation", 1)
    if (obj.get("status") or {}).get("observedGeneration") != generation:
        status = {"observedGeneration": generation, "typeChecking": {}}
        request.cluster.store.table("admissionregistration.k8s.io", "validatingadmissionpolicies").put(
            {**obj, "metadata": {**obj["metadata"]}, "status": status}
        )


class _Known:
    """The variables of a policy's expressions: the request's, of any type, and the policy's own, as they come."""

    def __init__(self) -> None:
        self._own: dict[str, CelType] = {}

    def variable(self, holder: Object, at: str) -> list[Cause]:
        """One of the policy's own, which those after it may speak of."""
        name, found = holder.get("name") or "", []
        if not name:
            found.append(causes.required(f"{at}.name", "name is not specified"))
        elif not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
            found.append(causes.invalid(f"{at}.name", name, "must be a valid CEL identifier"))
        return found + self.expression(holder, at, "", own=name)

    def expression(self, holder: Object, at: str, wanted: str = "bool", own: str = "") -> list[Cause]:
        text = (holder.get("expression") or "").strip()
        if not text:
            return [causes.required(f"{at}.expression", "expression is not specified")]
        return self.compiles(text, f"{at}.expression", wanted, own)

    def compiles(self, text: str, path: str, wanted: str, own: str = "") -> list[Cause]:
        from kubesandbox.schema.cel.checker import check
        from kubesandbox.schema.cel.errors import CompileError
        from kubesandbox.schema.cel.programs import Program
        from kubesandbox.schema.cel.types import DYN, CelType

        if re.search(r"\bauthorizer\b", text):
            raise errors.not_implemented("`authorizer` in the expressions of a ValidatingAdmissionPolicy")
        known = {**dict.fromkeys(VARIABLES, DYN), "variables": CelType("object", fields=dict(self._own))}
        if own:
            self._own[own] = DYN
        try:
            checked = check(text, known)
            Program(checked)
        except CompileError as error:
            return [causes.invalid(path, text, f"compilation failed: {error}")]
        if own:
            self._own[own] = checked.type
        if wanted and checked.type.name not in {wanted, "dyn"}:
            return [causes.invalid(path, text, f"must evaluate to {wanted} but got {checked.type}")]
        return []


ACTIONS = ["Audit", "Deny", "Warn"]


class BindingStrategy(BuiltinStrategy):
    """ValidatingAdmissionPolicyBindings."""

    checks_change = ""
    checks_whole = "plain"
    unconditional_update = False
    counts_generations = True

    def default(self, obj: Object) -> None:
        found = child(obj, "spec").get("matchResources")
        if found is not None:
            _default_constraints(found)

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        spec = obj["spec"]
        found: list[Cause] = []
        if not spec.get("policyName"):
            found.append(causes.required("spec.policyName"))
        actions = spec.get("validationActions") or []
        if not actions:
            found.append(causes.required("spec.validationActions"))
        for index, action in enumerate(actions):
            if action not in ACTIONS:
                found.append(causes.not_supported(f"spec.validationActions[{index}]", action, ACTIONS))
            elif action in actions[:index]:
                found.append(causes.duplicate(f"spec.validationActions[{index}]", action))
        if {"Deny", "Warn"} <= set(actions):
            text = "must not contain both Deny and Warn (repeating the same validation failure information in the "
            text += "API response and headers serves no purpose)"
            found.append(causes.invalid("spec.validationActions", actions, text))
        reference = spec.get("paramRef")
        if reference is not None:
            if bool(reference.get("name")) == (reference.get("selector") is not None):
                found.append(causes.required("spec.paramRef.name", "one of name or selector must be specified"))
            if not reference.get("parameterNotFoundAction"):
                found.append(causes.required("spec.paramRef.parameterNotFoundAction"))
        return found + list(_rules(spec.get("matchResources") or {}, "spec.matchResources"))
