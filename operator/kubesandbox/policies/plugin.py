"""The admission plugin: every policy that is bound, on every write (apiserver's validating/dispatcher.go)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubesandbox import errors
from kubesandbox.errors import StatusError
from kubesandbox.objects import Json, Object
from kubesandbox.policies.evaluation import Denial, Expressions
from kubesandbox.policies.matching import Attributes, matches
from kubesandbox.selectors import from_struct

if TYPE_CHECKING:
    from kubesandbox.cluster import Cluster
    from kubesandbox.kinds import Kind
    from kubesandbox.strategy import Request

GROUP = "admissionregistration.k8s.io"
_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}


class ConfigurationError(Exception):
    """A policy or binding that cannot be applied as it is."""


@dataclass(frozen=True)
class _Decision:
    policy: str
    binding: str
    denial: Denial

    @property
    def message(self) -> str:
        bound = f" with binding '{self.binding}'" if self.binding else ""
        return f"ValidatingAdmissionPolicy '{self.policy}'{bound} denied request: {self.denial.message}"


class PolicyPlugin:
    """Evaluates the stored policies."""

    def __init__(self, cluster: Cluster) -> None:
        self._policies = cluster.store.table(GROUP, "validatingadmissionpolicies")
        self._bindings = cluster.store.table(GROUP, "validatingadmissionpolicybindings")

    def validate(self, kind: Kind, operation: str, obj: Object | None, old: Object | None, request: Request) -> None:
        """Refuse what a bound policy denies."""
        if not self._policies.items or not self._bindings.items or kind.group == GROUP:
            return
        about = Attributes(kind, operation, obj, old, request)
        denied: list[_Decision] = []
        for version in self._policies.scan():
            if matches(version.object["spec"].get("matchConstraints") or {}, about):
                denied += self._policy(version.object, about)
        if denied:
            raise _refusal(denied[0], about)

    def _policy(self, policy: Object, about: Attributes) -> list[_Decision]:
        name, spec = policy["metadata"]["name"], policy["spec"]
        fails = spec.get("failurePolicy", "Fail") == "Fail"
        denied: list[_Decision] = []
        for version in self._bindings.scan():
            binding = version.object
            if binding["spec"].get("policyName") != name:
                continue
            if not matches(binding["spec"].get("matchResources") or {}, about):
                continue
            try:
                found = [
                    d for p in self._params(spec, binding["spec"], about) for d in Expressions(spec, about, p).denials()
                ]
            except ConfigurationError as error:
                found = [Denial(f"failed to configure binding: {error}", error=True)]
            for denial in found:
                if denial.error and not fails:
                    continue
                denied += self._act(_Decision(name, binding["metadata"]["name"], denial), binding["spec"], about)
        return denied

    @staticmethod
    def _act(decision: _Decision, spec: Object, about: Attributes) -> list[_Decision]:
        actions = spec.get("validationActions") or []
        if "Warn" in actions:
            about.request.warnings.append(
                f"Validation failed for ValidatingAdmissionPolicy '{decision.policy}' with binding "
                f"'{decision.binding}': {decision.denial.message}"
            )
        return [decision] if "Deny" in actions else []

    @staticmethod
    def _params(policy: Object, binding: Object, about: Attributes) -> list[Json]:
        wanted, reference = policy.get("paramKind"), binding.get("paramRef")
        if not wanted:
            return [None]
        cluster = about.request.cluster
        kind = cluster.kinds.by_kind(wanted["apiVersion"], wanted["kind"])
        if kind is None:
            raise ConfigurationError(
                f"failed to find resource referenced by paramKind: '{wanted['apiVersion']}, Kind={wanted['kind']}'"
            )
        if not reference:
            return [None]
        namespace = reference.get("namespace") or about.request.namespace
        if kind.namespaced and not namespace:
            raise ConfigurationError(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
            )
        table = cluster.store.table(*kind.table_key)
        where = namespace if kind.namespaced else ""
        if reference.get("name"):
            version = table.get(where, reference["name"])
            found = [version.object] if version else []
        else:
            selector = from_struct(reference.get("selector") or {})
            found = [
                v.object
                for v in table.scan(where)
                if selector and selector.matches(v.object["metadata"].get("labels") or {})
            ]
        if not found and reference.get("parameterNotFoundAction") == "Deny":
            raise ConfigurationError("no params found for policy binding with `Deny` parameterNotFoundAction")
        return list(found)


def _refusal(decision: _Decision, about: Attributes) -> StatusError:
    source = about.obj or about.old or {"metadata": {}}
    name = source["metadata"].get("name") or source["metadata"].get("generateName") or "Unknown"
    cause: errors.CauseBody = {"message": decision.message}
    error = errors.forbidden(about.kind.group, about.kind.plural, name, decision.message, [cause])
    error.reason = decision.denial.reason
    error.code = _CODES.get(error.reason, 422)
    return error
