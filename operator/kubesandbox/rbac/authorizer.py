"""May this user do that: RBAC over the stored Roles, ClusterRoles and bindings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubesandbox import errors
from kubesandbox.errors import StatusError
from kubesandbox.objects import Object
from kubesandbox.rbac.rules import Rule, allows

if TYPE_CHECKING:
    from kubesandbox.auth import User
    from kubesandbox.paths import RequestInfo
    from kubesandbox.store import Store

GROUP = "rbac.authorization.k8s.io"
EVERYTHING: list[Rule] = [
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
]


@dataclass(frozen=True)
class Decision:
    """Whether, and by which binding."""

    allowed: bool
    reason: str = ""


class Authorizer:
    """Decides; where it is not enforced, everybody may do everything but whom somebody else poses as."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.enforced = False

    def decide(self, user: User, about: RequestInfo) -> Decision:
        """Whether `user` may make the request."""
        if user.is_admin or not (self.enforced or user.impersonated):
            return Decision(True)
        for reason, rules in self._granted(user, about.namespace):
            if any(allows(rule, about) for rule in rules):
                return Decision(True, reason)
        return Decision(False)

    def check(self, user: User, about: RequestInfo) -> None:
        """Refuse with 403 what `user` may not do."""
        if not self.decide(user, about).allowed:
            raise refusal(user, about)

    def rules(self, user: User, namespace: str) -> list[Rule]:
        """All that `user` may do in a namespace."""
        if user.is_admin or not (self.enforced or user.impersonated):
            return EVERYTHING
        return [rule for _, rules in self._granted(user, namespace) for rule in rules]

    def rules_of(self, reference: Object, namespace: str) -> list[Rule] | None:
        """The rules of a role, or None where it does not exist."""
        if reference.get("kind") == "ClusterRole":
            version = self._store.table(GROUP, "clusterroles").get("", reference.get("name", ""))
        else:
            version = self._store.table(GROUP, "roles").get(namespace, reference.get("name", ""))
        return None if version is None else version.object.get("rules") or []

    def _granted(self, user: User, namespace: str) -> Iterator[tuple[str, list[Rule]]]:
        """The rules of every binding that names the user, with the words that say so."""
        for version in self._store.table(GROUP, "clusterrolebindings").scan():
            yield from self._binding(user, version.object, "ClusterRoleBinding", "")
        if namespace:
            for version in self._store.table(GROUP, "rolebindings").scan(namespace):
                yield from self._binding(user, version.object, "RoleBinding", namespace)

    def _binding(self, user: User, binding: Object, kind: str, namespace: str) -> Iterator[tuple[str, list[Rule]]]:
        subject = next((s for s in binding.get("subjects") or () if _is(user, s, namespace)), None)
        if subject is None:
            return
        reference = binding["roleRef"]
        rules = self.rules_of(reference, namespace)
        if not rules:
            return
        name = binding["metadata"]["name"] + (f"/{namespace}" if namespace else "")
        who = subject["name"]
        if subject["kind"] == "ServiceAccount":
            who = f"{subject['name']}/{subject.get('namespace') or namespace}"
        reason = (
            f'RBAC: allowed by {kind} "{name}" of {reference["kind"]} "{reference["name"]}" '
            f'to {subject["kind"]} "{who}"'
        )
        yield reason, rules


def _is(user: User, subject: Object, namespace: str) -> bool:
    match subject.get("kind"):
        case "User":
            return user.name == subject.get("name")
        case "Group":
            return subject.get("name") in user.groups
        case "ServiceAccount":
            where = subject.get("namespace") or namespace
            return bool(where) and user.name == f"system:serviceaccount:{where}:{subject.get('name')}"
        case _:
            return False


def refusal(user: User, about: RequestInfo) -> StatusError:
    """403 in apiserver's words."""
    if not about.is_resource:
        return errors.forbidden("", "", "", f'User "{user.name}" cannot {about.verb} path "{about.path}"')
    resource = f"{about.resource}/{about.subresource}" if about.subresource else about.resource
    where = f'in the namespace "{about.namespace}"' if about.namespace else "at the cluster scope"
    why = f'User "{user.name}" cannot {about.verb} resource "{resource}" in API group "{about.group}" {where}'
    return errors.forbidden(about.group, about.resource, about.name, why)
