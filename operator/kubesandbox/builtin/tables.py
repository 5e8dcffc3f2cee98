"""Columns of `kubectl get` for built-in kinds (kubernetes pkg/printers/internalversion/printers.go)."""

from __future__ import annotations

from dataclasses import replace

from kubesandbox.ages import since
from kubesandbox.builtin import network_tables, workload_tables
from kubesandbox.builtin.columns import NONE, path
from kubesandbox.objects import Json, Object, dig
from kubesandbox.tables import AGE, DEFAULT, NAME, Cell, Column, Columns


def columns(group: str, kind: str) -> Columns:
    """A kind's columns; name and creation time where it has none of its own."""
    return _COLUMNS.get((group, kind), DEFAULT)


def _data_count(*fields: str) -> Column:
    return Column("Data", lambda obj: sum(len(obj.get(field) or {}) for field in fields))


def _node_status(obj: Object) -> Cell:
    ready = next((c for c in dig(obj, "status", "conditions") or () if c.get("type") == "Ready"), None)
    words = ["Unknown"] if ready is None else ["Ready" if ready.get("status") == "True" else "NotReady"]
    if dig(obj, "spec", "unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _node_roles(obj: Object) -> Cell:
    prefix = "node-role.kubernetes.io/"
    found = sorted(key.removeprefix(prefix) for key in obj["metadata"].get("labels") or {} if key.startswith(prefix))
    return ",".join(found) or NONE


def _node_address(kind: str) -> Column:
    def show(obj: Object) -> Cell:
        return next((a["address"] for a in dig(obj, "status", "addresses") or () if a.get("type") == f"{kind}IP"), NONE)

    return Column(f"{kind}-IP", show, priority=1)


NODE: Columns = (
    NAME,
    Column("Status", _node_status),
    Column("Roles", _node_roles),
    AGE,
    path("Version", "status", "nodeInfo", "kubeletVersion"),
    _node_address("Internal"),
    _node_address("External"),
    path("OS-Image", "status", "nodeInfo", "osImage", default="<unknown>", priority=1),
    path("Kernel-Version", "status", "nodeInfo", "kernelVersion", default="<unknown>", priority=1),
    path("Container-Runtime", "status", "nodeInfo", "containerRuntimeVersion", default="<unknown>", priority=1),
)


def _event_last(obj: Object) -> Cell:
    at = dig(obj, "series", "lastObservedTime") or obj.get("lastTimestamp") or obj.get("eventTime")
    count = dig(obj, "series", "count") or obj.get("count") or 0
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    return f"{since(at)} (x{count} over {since(first)})" if count > 1 else since(at or first)


def _event_object(obj: Object) -> Cell:
    about = obj.get("involvedObject") or {}
    return f"{(about.get('kind') or '').lower()}/{about.get('name', '')}"


def _event_source(obj: Object) -> Cell:
    component = dig(obj, "source", "component") or obj.get("reportingComponent") or ""
    host = dig(obj, "source", "host") or obj.get("reportingInstance") or ""
    return ", ".join(part for part in (component, host) if part)


EVENT: Columns = (
    Column("Last Seen", _event_last),
    path("Type", "type"),
    path("Reason", "reason"),
    Column("Object", _event_object),
    path("Subobject", "involvedObject", "fieldPath", priority=1),
    Column("Source", _event_source, priority=1),
    Column("Message", lambda obj: (obj.get("message") or "").strip()),
    Column("First Seen", lambda obj: since(obj.get("firstTimestamp") or obj.get("eventTime")), priority=1),
    path("Count", "count", default=1, priority=1),
    replace(NAME, priority=1),
)


LEASE: Columns = (NAME, path("Holder", "spec", "holderIdentity"), AGE)


def _role(obj: Object) -> Cell:
    return f"{dig(obj, 'roleRef', 'kind')}/{dig(obj, 'roleRef', 'name')}"


def _subjects(kind: str, title: str) -> Column:
    def show(obj: Object) -> Cell:
        prefix = "namespace" if kind == "ServiceAccount" else ""
        return ", ".join(
            f"{s.get('namespace', '')}/{s['name']}" if prefix else s["name"]
            for s in obj.get("subjects") or ()
            if s.get("kind") == kind
        )

    return Column(title, show, priority=1)


BINDING: Columns = (
    NAME,
    Column("Role", _role),
    AGE,
    _subjects("User", "Users"),
    _subjects("Group", "Groups"),
    _subjects("ServiceAccount", "ServiceAccounts"),
)


_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _capacity(obj: Object) -> Cell:
    """Of a claim that has its volume; none known is zero."""
    found: Cell = dig(obj, "status", "capacity", "storage") or "0"
    return found if dig(obj, "spec", "volumeName") else ""


CLAIM: Columns = (
    NAME,
    path("Status", "status", "phase"),
    path("Volume", "spec", "volumeName"),
    Column("Capacity", _capacity),
    Column("Access Modes", lambda obj: ",".join(_MODES.get(m, m) for m in dig(obj, "status", "accessModes") or ())),
    path("StorageClass", "spec", "storageClassName"),
    path("VolumeAttributesClass", "spec", "volumeAttributesClassName", default="<unset>"),
    AGE,
    path("VolumeMode", "spec", "volumeMode", default="<unset>", priority=1),
)
_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"
_COLUMNS: dict[tuple[str, str], Columns] = {
    ("", "ConfigMap"): (NAME, _data_count("data", "binaryData"), AGE),
    ("", "Secret"): (NAME, path("Type", "type"), _data_count("data"), AGE),
    ("", "Namespace"): (NAME, path("Status", "status", "phase"), AGE),
    ("", "ServiceAccount"): (NAME, AGE),
    ("", "Service"): network_tables.SERVICE,
    ("", "Pod"): workload_tables.POD,
    ("", "Node"): NODE,
    ("", "Event"): EVENT,
    ("", "Endpoints"): (NAME, Column("Endpoints", network_tables.endpoints_cell), AGE),
    ("", "PersistentVolumeClaim"): CLAIM,
    ("apps", "Deployment"): workload_tables.DEPLOYMENT,
    ("apps", "ReplicaSet"): workload_tables.REPLICA_SET,
    ("batch", "Job"): workload_tables.JOB,
    ("networking.k8s.io", "Ingress"): network_tables.INGRESS,
    ("networking.k8s.io", "IngressClass"): (
        NAME,
        path("Controller", "spec", "controller"),
        Column("Parameters", lambda obj: dig(obj, "spec", "parameters", "name") or NONE),
        AGE,
    ),
    ("networking.k8s.io", "NetworkPolicy"): network_tables.POLICY,
    ("policy", "PodDisruptionBudget"): workload_tables.BUDGET,
    ("autoscaling", "HorizontalPodAutoscaler"): workload_tables.AUTOSCALER,
    ("coordination.k8s.io", "Lease"): LEASE,
    ("discovery.k8s.io", "EndpointSlice"): network_tables.SLICE,
    (_RBAC, "RoleBinding"): BINDING,
    (_RBAC, "ClusterRoleBinding"): BINDING,
    (_ADMISSION, "ValidatingAdmissionPolicy"): (
        NAME,
        Column("Validations", lambda obj: len(dig(obj, "spec", "validations") or ()), "integer"),
        Column("ParamKind", lambda obj: _param(dig(obj, "spec", "paramKind"))),
        AGE,
    ),
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): (
        NAME,
        path("PolicyName", "spec", "policyName"),
        Column("ParamRef", lambda obj: _param_ref(dig(obj, "spec", "paramRef"))),
        AGE,
    ),
}


def _param(param: Json) -> str:
    return f"{param.get('apiVersion')}/{param.get('kind')}" if param else "<unset>"


def _param_ref(ref: Json) -> str:
    if not ref:
        return "<unset>"
    return f"{ref.get('namespace') or '*'}/{ref['name']}" if ref.get("name") else "<unset>"
