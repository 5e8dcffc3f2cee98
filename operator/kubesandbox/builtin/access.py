"""Roles and their bindings: validation (kubernetes pkg/apis/rbac/validation)."""

from __future__ import annotations

from kubesandbox import metadata, names
from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.objects import Object
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause
from kubesandbox.strategy import Request

GROUP = "rbac.authorization.k8s.io"


class RoleStrategy(BuiltinStrategy):
    """Roles and ClusterRoles."""

    checks_whole = "core"
    creates_on_update = True
    name_rule = staticmethod(names.path_segment)

    def __init__(self, *, namespaced: bool) -> None:
        self._namespaced = namespaced

    def default(self, obj: Object) -> None:
        if obj.get("rules") == []:
            obj["rules"] = None  # as it comes back from etcd

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        found: list[Cause] = []
        aggregation = obj.get("aggregationRule")
        if aggregation is not None and not aggregation.get("clusterRoleSelectors"):
            text = "at least one clusterRoleSelector required if aggregationRule is non-nil"
            found.append(causes.required("aggregationRule.clusterRoleSelectors", text))
        for index, rule in enumerate(obj.get("rules") or ()):
            at = f"rules[{index}]"
            if not rule.get("verbs"):
                found.append(causes.required(f"{at}.verbs", "verbs must contain at least one value"))
            if rule.get("nonResourceURLs"):
                if self._namespaced:
                    text = "namespaced rules cannot apply to non-resource URLs"
                    found.append(causes.invalid(f"{at}.nonResourceURLs", rule["nonResourceURLs"], text))
                if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                    text = "rules cannot apply to both regular resources and non-resource URLs"
                    found.append(causes.invalid(f"{at}.nonResourceURLs", rule["nonResourceURLs"], text))
                continue
            if not rule.get("apiGroups"):
                text = "resource rules must supply at least one api group"
                found.append(causes.required(f"{at}.apiGroups", text))
            if not rule.get("resources"):
                text = "resource rules must supply at least one resource"
                found.append(causes.required(f"{at}.resources", text))
        return found


_GO_ROLE_REF = {"APIGroup": "apiGroup", "Kind": "kind", "Name": "name"}  # the internal type has no JSON names


class BindingStrategy(BuiltinStrategy):
    """RoleBindings and ClusterRoleBindings."""

    checks_whole = "core"
    creates_on_update = True
    name_rule = staticmethod(names.path_segment)

    def __init__(self, *, namespaced: bool) -> None:
        self._kinds = ["Role", "ClusterRole"] if namespaced else ["ClusterRole"]

    def default(self, obj: Object) -> None:
        reference = obj.get("roleRef")
        if isinstance(reference, dict) and not reference.get("apiGroup"):
            reference["apiGroup"] = GROUP
        for subject in obj.get("subjects") or ():
            if not subject.get("apiGroup") and subject.get("kind") in {"User", "Group"}:
                subject["apiGroup"] = GROUP

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        found: list[Cause] = []
        reference = obj.get("roleRef") or {}
        if reference.get("apiGroup") != GROUP:
            found.append(causes.not_supported("roleRef.apiGroup", reference.get("apiGroup", ""), [GROUP]))
        if reference.get("kind") not in self._kinds:
            found.append(causes.not_supported("roleRef.kind", reference.get("kind", ""), self._kinds))
        if not reference.get("name"):
            found.append(causes.required("roleRef.name"))
        for index, subject in enumerate(obj.get("subjects") or ()):
            found += _subject(subject, f"subjects[{index}]", obj)
        return found

    def validate_update(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        found = self.validate(obj, request)
        if obj.get("roleRef") != old.get("roleRef"):
            given = obj.get("roleRef") or {}
            shown = {key: given.get(name, "") for key, name in _GO_ROLE_REF.items()}
            found.append(causes.invalid("roleRef", causes.go_struct(shown), "cannot change roleRef"))
        return found


def _subject(subject: Object, at: str, binding: Object) -> list[Cause]:
    found: list[Cause] = []
    if not subject.get("name"):
        found.append(causes.required(f"{at}.name"))
    kind, group = subject.get("kind"), subject.get("apiGroup", "")
    if kind == "ServiceAccount":
        name = subject.get("name") or ""
        found += [causes.invalid(f"{at}.name", name, text) for text in (names.subdomain(name) if name else [])]
        if group:
            found.append(causes.not_supported(f"{at}.apiGroup", group, [""]))
        if not subject.get("namespace") and not binding["metadata"].get("namespace"):
            found.append(causes.required(f"{at}.namespace"))
    elif kind in {"User", "Group"}:
        if group != GROUP:
            found.append(causes.not_supported(f"{at}.apiGroup", group, [GROUP]))
    else:
        found.append(causes.not_supported(f"{at}.kind", kind or "", ["ServiceAccount", "User", "Group"]))
    return found


__all__ = ["BindingStrategy", "RoleStrategy", "metadata"]
