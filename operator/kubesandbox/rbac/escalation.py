"""Nobody grants what they do not have: checks on writes of roles and bindings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesandbox import errors
from kubesandbox.objects import Object
from kubesandbox.paths import RequestInfo
from kubesandbox.rbac.authorizer import GROUP
from kubesandbox.rbac.rules import Rule, compact, show, uncovered

if TYPE_CHECKING:
    from kubesandbox.kinds import Kind
    from kubesandbox.strategy import Request

_ROLES = frozenset({"roles", "clusterroles"})
_BINDINGS = frozenset({"rolebindings", "clusterrolebindings"})


class EscalationCheck:
    """An admission plugin; the registry does this in kube-apiserver."""

    def validate(self, kind: Kind, operation: str, obj: Object | None, old: Object | None, request: Request) -> None:
        """Refuse a role with, or a binding to, more than the user holds."""
        if kind.group != GROUP or obj is None or not request.cluster.authorizer.enforced or request.user.is_admin:
            return
        if kind.plural in _ROLES:
            self._role(kind, obj, old, request)
        elif kind.plural in _BINDINGS:
            self._binding(kind, obj, old, request)

    def _role(self, kind: Kind, obj: Object, old: Object | None, request: Request) -> None:
        if old is not None and all(obj.get(key) == old.get(key) for key in ("rules", "aggregationRule")):
            return
        if self._may(request, "escalate", kind.plural, obj["metadata"].get("name", "")):
            return
        if obj.get("aggregationRule") is not None:
            missing = uncovered(self._held(request), [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}])
            if missing:
                raise self._refused(kind, obj, "must have cluster-admin privileges to use the aggregationRule")
        self._compare(kind, obj, obj.get("rules") or [], request)

    def _binding(self, kind: Kind, obj: Object, old: Object | None, request: Request) -> None:
        if old is not None and all(obj.get(key) == old.get(key) for key in ("roleRef", "subjects")):
            return
        reference = obj["roleRef"]
        plural = "clusterroles" if reference["kind"] == "ClusterRole" else "roles"
        if self._may(request, "bind", plural, reference["name"]):
            return
        rules = request.cluster.authorizer.rules_of(reference, request.namespace)
        if rules is None:
            raise errors.not_found(GROUP, plural, reference["name"])
        self._compare(kind, obj, rules, request)

    @staticmethod
    def _may(request: Request, verb: str, plural: str, name: str) -> bool:
        about = RequestInfo(verb, "", GROUP, "v1", plural, "", request.namespace, name)
        return request.cluster.authorizer.decide(request.user, about).allowed

    @staticmethod
    def _held(request: Request) -> list[Rule]:
        return request.cluster.authorizer.rules(request.user, request.namespace)

    def _compare(self, kind: Kind, obj: Object, wanted: list[Rule], request: Request) -> None:
        missing = uncovered(self._held(request), wanted)
        if not missing:
            return
        groups = " ".join(f'"{group}"' for group in request.user.groups)
        shown = "\n".join(sorted(show(rule) for rule in compact(missing)))
        raise self._refused(
            kind,
            obj,
            f'user "{request.user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently '
            f"held:\n{shown}",
        )

    @staticmethod
    def _refused(kind: Kind, obj: Object, why: str) -> errors.StatusError:
        return errors.forbidden(kind.group, kind.plural, obj["metadata"].get("name", ""), why)
