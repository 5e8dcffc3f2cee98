"""Which requests a policy or a binding is about (apiserver's admission/plugin/policy/matching)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubesandbox.objects import Object
from kubesandbox.selectors import from_struct

if TYPE_CHECKING:
    from kubesandbox.kinds import Kind
    from kubesandbox.strategy import Request


@dataclass(frozen=True)
class Attributes:
    """One write, as admission sees it."""

    kind: Kind
    operation: str
    obj: Object | None
    old: Object | None
    request: Request

    @property
    def name(self) -> str:
        """The object's name; empty for one that is still to be generated."""
        source = self.obj or self.old or {"metadata": {}}
        name: str = source["metadata"].get("name", "")
        return name


def matches(constraints: Object, about: Attributes) -> bool:
    """Whether `matchConstraints` or `matchResources` select the write."""
    if not _namespace_matches(constraints, about) or not _object_matches(constraints, about):
        return False
    if any(_rule_matches(rule, about, constraints) for rule in constraints.get("excludeResourceRules") or ()):
        return False
    rules = constraints.get("resourceRules")
    return not rules or any(_rule_matches(rule, about, constraints) for rule in rules)


def _namespace_matches(constraints: Object, about: Attributes) -> bool:
    selector = from_struct(constraints.get("namespaceSelector") or {})
    if not selector:
        return True
    name = about.request.namespace
    if about.kind.plural == "namespaces" and not about.kind.group:
        name = about.name
    if not name:
        return True  # of no namespace: the selector does not speak of it
    namespace = about.request.cluster.store.table("", "namespaces").get("", name)
    labels = (namespace.object["metadata"].get("labels") or {}) if namespace else {}
    return selector.matches(labels)


def _object_matches(constraints: Object, about: Attributes) -> bool:
    selector = from_struct(constraints.get("objectSelector") or {})
    if not selector:
        return True
    found = (about.obj, about.old)
    return any(obj is not None and selector.matches(obj["metadata"].get("labels") or {}) for obj in found)


def _has(listed: Iterable[str] | None, value: str) -> bool:
    values = tuple(listed or ())
    return "*" in values or value in values


def _rule_matches(rule: Object, about: Attributes, constraints: Object) -> bool:
    kind = about.kind
    if not _has(rule.get("operations"), about.operation) or not _has(rule.get("apiGroups"), kind.group):
        return False
    versions = rule.get("apiVersions")
    if not _has(versions, kind.version):
        same = [k for k in about.request.cluster.kinds if k.group == kind.group and k.plural == kind.plural]
        equivalent = constraints.get("matchPolicy", "Equivalent") == "Equivalent"
        if not equivalent or not any(_has(versions, other.version) for other in same):
            return False
    names = rule.get("resourceNames")
    if names and about.name not in names:
        return False
    scope = rule.get("scope", "*")
    if scope != "*" and (scope == "Namespaced") != kind.namespaced:
        return False
    return _resource_matches(rule.get("resources") or (), kind.plural, about.request.subresource)


def _resource_matches(listed: Iterable[str], plural: str, subresource: str) -> bool:
    wanted = (
        {"*/*", f"{plural}/{subresource}", f"{plural}/*", f"*/{subresource}"}
        if subresource
        else {
            "*",
            "*/*",
            plural,
            f"{plural}/*",
        }
    )
    return any(resource in wanted for resource in listed)
