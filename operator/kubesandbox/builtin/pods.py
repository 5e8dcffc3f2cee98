"""Pods: what admission adds to them, what may change, and how they go."""

from __future__ import annotations

from collections.abc import Mapping

from kubesandbox import errors, metadata, names
from kubesandbox.builtin import podspecs
from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.objects import Object, child, dig
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause
from kubesandbox.strategy import Request

_PRIORITIES = {"": 0, "system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


class PodStrategy(BuiltinStrategy):
    """Pods."""

    checks_whole = "core"
    has_status = True
    status_keeps = ("ownerReferences",)
    counts_generations = True
    returns_deleted = True
    selectable = frozenset(
        {
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        }
    )

    def default(self, obj: Object) -> None:
        spec = child(obj, "spec")
        podspecs.default_spec(spec)
        if spec["terminationGracePeriodSeconds"] < 0:
            spec["terminationGracePeriodSeconds"] = 1
        spec.setdefault("enableServiceLinks", True)
        for container in podspecs.containers(spec):
            limits = dig(container, "resources", "limits")
            if limits:
                requests = container["resources"].setdefault("requests", {})
                for key, value in limits.items():
                    requests.setdefault(key, value)

    def prepare_create(self, obj: Object, request: Request) -> None:
        spec = obj["spec"]
        if spec.get("runtimeClassName"):  # the RuntimeClass admission plugin; there are none
            why = f"pod rejected: RuntimeClass {causes.quote(spec['runtimeClassName'])} not found"
            raise errors.forbidden("", "pods", obj["metadata"].get("name", ""), why)
        # The ServiceAccount, Priority and DefaultTolerationSeconds admission plugins.
        spec.setdefault("serviceAccountName", "default")
        spec["serviceAccount"] = spec["serviceAccountName"]
        self._set_priority(obj)
        spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
        _tolerate(spec)
        self._mount_token(obj, request)
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}

    def prepare_update(self, obj: Object, old: Object, request: Request) -> None:
        super().prepare_update(obj, old, request)
        if not old["metadata"].get("deletionTimestamp"):
            _tolerate(obj["spec"])

    @staticmethod
    def _set_priority(obj: Object) -> None:
        """The Priority admission plugin; there are no PriorityClasses but the two that every cluster has."""
        spec, name = obj["spec"], obj["metadata"].get("name", "")
        wanted = spec.get("priorityClassName") or ""
        if wanted not in _PRIORITIES:
            raise errors.forbidden("", "pods", name, f"no PriorityClass with name {wanted} was found")
        priority = _PRIORITIES[wanted]
        if spec.setdefault("priority", priority) != priority:
            why = (
                f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; priority "
                f"admission controller computed {priority} from the given PriorityClass name"
            )
            raise errors.forbidden("", "pods", name, why)

    @staticmethod
    def _mount_token(obj: Object, request: Request) -> None:
        """The ServiceAccount admission plugin: the account must exist; its token is mounted unless told otherwise."""
        spec = obj["spec"]
        account = request.cluster.store.table("", "serviceaccounts").get(request.namespace, spec["serviceAccountName"])
        if account is None:
            raise errors.forbidden(
                "",
                "pods",
                obj["metadata"].get("name", ""),
                f"error looking up service account {request.namespace}/{spec['serviceAccountName']}: "
                f'serviceaccount "{spec["serviceAccountName"]}" not found',
            )
        wanted = spec.get("automountServiceAccountToken")
        if wanted is None:
            wanted = account.object.get("automountServiceAccountToken", True)
        if not wanted:
            return
        path = "/var/run/secrets/kubernetes.io/serviceaccount"
        lacking = [
            c
            for c in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
            if not any(m.get("mountPath") == path for m in c.get("volumeMounts") or ())
        ]
        if not lacking:
            return
        volume = names.generated("kube-api-access-")
        spec.setdefault("volumes", []).append(
            {
                "name": volume,
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                        {
                            "downwardAPI": {
                                "items": [
                                    {
                                        "path": "namespace",
                                        "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                                    }
                                ]
                            }
                        },
                    ],
                    "defaultMode": 0o644,
                },
            }
        )
        for container in lacking:
            container.setdefault("volumeMounts", []).append({"name": volume, "readOnly": True, "mountPath": path})

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        found = podspecs.validate_spec(obj["spec"], "spec")
        if obj["spec"].get("ephemeralContainers"):
            found.append(causes.forbidden("spec.ephemeralContainers", "cannot be set on create"))
        return found

    def validate_update(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        """Little of a pod's spec may change (ValidatePodUpdate)."""
        before, after = old["spec"], obj["spec"]
        found = [
            causes.forbidden(f"spec.{key}", "pod updates may not add or remove containers")
            for key in ("containers", "initContainers")
            if len(before.get(key) or ()) != len(after.get(key) or ())
        ]
        if found:
            return found
        found += [
            causes.required(f"spec.{key}[{index}].image")
            for key in ("containers", "initContainers")
            for index, container in enumerate(after.get(key) or ())
            if not container.get("image")
        ]
        found += _deadline(before.get("activeDeadlineSeconds"), after.get("activeDeadlineSeconds"))
        kept = [_without(toleration, "tolerationSeconds") for toleration in after.get("tolerations") or ()]
        if any(_without(t, "tolerationSeconds") not in kept for t in before.get("tolerations") or ()):
            text = "existing toleration can not be modified except its tolerationSeconds"
            found.append(causes.forbidden("spec.tolerations", text))
        if found or _fixed(before, after) == _fixed(after, after):
            return found
        text = (
            "pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
            "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously "
            "negative)"
        )
        return [causes.forbidden("spec", text)]

    def begin_delete(self, obj: Object, grace: int | None, request: Request) -> bool:
        meta = obj["metadata"]
        if grace is None:
            grace = obj["spec"].get("terminationGracePeriodSeconds", 30)
        if not obj["spec"].get("nodeName") or dig(obj, "status", "phase") in {"Succeeded", "Failed"}:
            grace = 0
        if meta.get("deletionTimestamp"):
            if grace and grace >= meta.get("deletionGracePeriodSeconds", 0):
                return bool(meta.get("deletionGracePeriodSeconds"))
            meta["deletionGracePeriodSeconds"] = min(grace, meta.get("deletionGracePeriodSeconds", grace))
            return bool(grace)
        meta["deletionGracePeriodSeconds"] = max(0, grace)
        if grace <= 0:
            return False
        meta["deletionTimestamp"] = metadata.later(grace)
        meta["generation"] = meta.get("generation", 0) + 1
        return True

    def fields(self, obj: Object) -> Mapping[str, str]:
        spec, status = obj["spec"], obj.get("status") or {}
        return {
            "spec.nodeName": spec.get("nodeName", ""),
            "spec.restartPolicy": spec.get("restartPolicy", ""),
            "spec.schedulerName": spec.get("schedulerName", ""),
            "spec.serviceAccountName": spec.get("serviceAccountName", ""),
            "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
            "status.phase": status.get("phase", ""),
            "status.podIP": status.get("podIP", ""),
            "status.podIPs": status.get("podIP", ""),
            "status.nominatedNodeName": status.get("nominatedNodeName", ""),
        }


def _without(item: Object, *keys: str) -> Object:
    return {key: value for key, value in item.items() if key not in keys}


def _fixed(spec: Object, after: Object) -> Object:
    """What of a pod's spec cannot change; a negative grace period may become 1."""
    fixed = _without(spec, "tolerations", "activeDeadlineSeconds")
    for key in ("containers", "initContainers"):
        if key in fixed:
            fixed[key] = [_without(container, "image") for container in fixed[key]]
    grace = fixed.get("terminationGracePeriodSeconds")
    if isinstance(grace, int) and grace < 0 and after.get("terminationGracePeriodSeconds") == 1:
        fixed["terminationGracePeriodSeconds"] = 1
    return fixed


def _deadline(before: int | None, after: int | None) -> list[Cause]:
    path = "spec.activeDeadlineSeconds"
    if after is not None and not 0 < after < 2**31:
        return [causes.invalid(path, after, "must be between 1 and 2147483647, inclusive")]
    if before is not None and after is not None and after > before:
        return [causes.invalid(path, after, "must be less than or equal to previous value")]
    if before is not None and after is None:
        return [causes.invalid(path, after, "must not update from a positive integer to nil value")]
    return []


def qos_class(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort, by what the containers request."""
    found = [container.get("resources") or {} for container in podspecs.containers(spec)]
    if not any(r.get("requests") or r.get("limits") for r in found):
        return "BestEffort"
    guaranteed = all(
        {"cpu", "memory"} <= set(r.get("limits") or {}) and (r.get("requests") or r["limits"]) == r["limits"]
        for r in found
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _tolerate(spec: Object) -> None:
    """The DefaultTolerationSeconds admission plugin, which acts on creates and updates."""
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(t.get("key") in {key, None} and t.get("effect") in {"NoExecute", None} for t in tolerations):
            tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
