"""What may be wrong with where a pod wants to run (kubernetes pkg/apis/core/validation/validation.go)."""

from __future__ import annotations

import ipaddress

from kubesandbox import names
from kubesandbox.builtin.label_selectors import validate_expression, validate_selector
from kubesandbox.objects import Object, dig
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause

ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"]
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def is_address(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def validate_placement(spec: Object, path: str) -> list[Cause]:
    """What is wrong with tolerations, affinity, spreading, readiness gates and host aliases."""
    found: list[Cause] = []
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        at, address = f"{path}.hostAliases[{index}]", alias.get("ip") or ""
        if not is_address(address):
            found.append(causes.invalid(f"{at}.ip", address, ADDRESS))
        for number, name in enumerate(alias.get("hostnames") or ()):
            found += [causes.invalid(f"{at}.hostnames[{number}]", name, text) for text in names.subdomain(name)]
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        found += _toleration(toleration, f"{path}.tolerations[{index}]")
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        at, kind = f"{path}.readinessGates[{index}].conditionType", gate.get("conditionType") or ""
        found += [causes.invalid(at, kind, text) for text in names.label_key(kind)]
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        found += _spread(constraint, f"{path}.topologySpreadConstraints[{index}]")
    pairs = [(it.get("topologyKey"), it.get("whenUnsatisfiable")) for it in spec.get("topologySpreadConstraints") or ()]
    for index, pair in enumerate(pairs):
        if pair in pairs[index + 1 :]:
            at = f"{path}.topologySpreadConstraints[{index}].{{topologyKey, whenUnsatisfiable}}"
            found.append(causes.duplicate(at, f"{{{pair[0]}, {pair[1]}}}"))
    return found + _affinity(spec.get("affinity") or {}, f"{path}.affinity")


def _toleration(toleration: Object, path: str) -> list[Cause]:
    found: list[Cause] = []
    key, operator = toleration.get("key") or "", toleration.get("operator") or ""
    value, effect = toleration.get("value") or "", toleration.get("effect") or ""
    if key:
        found += [causes.invalid(f"{path}.key", key, text) for text in names.label_key(key)]
    elif operator != "Exists":
        text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        found.append(causes.invalid(f"{path}.operator", operator, text))
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        found.append(causes.invalid(f"{path}.effect", effect, text))
    if operator == "Exists":
        if value:
            text = "value must be empty when `operator` is 'Exists'"
            found.append(causes.invalid(f"{path}.operator", toleration, text))
    elif operator in {"Equal", ""}:
        wrong = names.label_value(value)
        if wrong:
            found.append(causes.invalid(f"{path}.operator", value, ";".join(wrong)))
    else:
        found.append(causes.not_supported(f"{path}.operator", operator, ["Equal", "Exists"]))
    if effect and effect not in _EFFECTS:
        found.append(causes.not_supported(f"{path}.effect", effect, _EFFECTS))
    return found


def _spread(constraint: Object, path: str) -> list[Cause]:
    found: list[Cause] = []
    selector = constraint.get("labelSelector")
    skew, when = constraint.get("maxSkew") or 0, constraint.get("whenUnsatisfiable") or ""
    if skew <= 0:
        found.append(causes.invalid(f"{path}.maxSkew", skew, "must be greater than zero"))
    if not constraint.get("topologyKey"):
        found.append(causes.required(f"{path}.topologyKey", "can not be empty"))
    if when not in {"DoNotSchedule", "ScheduleAnyway"}:
        found.append(causes.not_supported(f"{path}.whenUnsatisfiable", when, ["DoNotSchedule", "ScheduleAnyway"]))
    domains = constraint.get("minDomains")
    if domains is not None and domains <= 0:
        found.append(causes.invalid(f"{path}.minDomains", domains, "must be greater than zero"))
    return found + (validate_selector(selector, f"{path}.labelSelector") if selector else [])


def _affinity(affinity: Object, path: str) -> list[Cause]:
    found: list[Cause] = []
    required = dig(affinity, "nodeAffinity", _REQUIRED)
    if required is not None and not required.get("nodeSelectorTerms"):
        at = f"{path}.nodeAffinity.{_REQUIRED}.nodeSelectorTerms"
        found.append(causes.required(at, "must have at least one node selector term"))
    for index, term in enumerate(dig(required, "nodeSelectorTerms") or ()):
        found += _node_term(term, f"{path}.nodeAffinity.{_REQUIRED}.nodeSelectorTerms[{index}]")
    for index, weighted in enumerate(dig(affinity, "nodeAffinity", _PREFERRED) or ()):
        at, weight = f"{path}.nodeAffinity.{_PREFERRED}[{index}]", weighted.get("weight") or 0
        if not 0 < weight <= 100:
            found.append(causes.invalid(f"{at}.weight", weight, "must be in the range 1-100"))
        found += _node_term(weighted.get("preference") or {}, f"{at}.preference")
    for kind in ("podAffinity", "podAntiAffinity"):
        for index, term in enumerate(dig(affinity, kind, _REQUIRED) or ()):
            found += _term(term, f"{path}.{kind}.{_REQUIRED}[{index}]")
        for index, weighted in enumerate(dig(affinity, kind, _PREFERRED) or ()):
            at, weight = f"{path}.{kind}.{_PREFERRED}[{index}]", weighted.get("weight") or 0
            if not 0 < weight <= 100:
                found.append(causes.invalid(f"{at}.weight", weight, "must be in the range 1-100"))
            found += _term(weighted.get("podAffinityTerm") or {}, f"{at}.podAffinityTerm")
    return found


def _node_term(term: Object, path: str) -> list[Cause]:
    """What is wrong with a NodeSelectorTerm's expressions."""
    found: list[Cause] = []
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        found += validate_expression(expression, f"{path}.matchExpressions[{index}]", compares=True)
    return found


def _term(term: Object, path: str) -> list[Cause]:
    key, found = term.get("topologyKey") or "", list[Cause]()
    for name in ("labelSelector", "namespaceSelector"):
        if term.get(name):
            found += validate_selector(term[name], f"{path}.{name}")
    if not key:
        found.append(causes.required(f"{path}.topologyKey", "can not be empty"))
    return found + [causes.invalid(f"{path}.topologyKey", key, text) for text in names.label_key(key)]
