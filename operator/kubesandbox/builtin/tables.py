"""Columns of `kubectl get` for built-in kinds (kubernetes pkg/printers/internalversion/printers.go)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from kubesandbox.ages import human, parse_time, since
from kubesandbox.builtin.podstatus import ready_cell, restarts_cell, status_cell
from kubesandbox.objects import Json, Object, dig
from kubesandbox.selectors import format_selector
from kubesandbox.tables import AGE, DEFAULT, NAME, Cell, Column, Columns

_NONE = "<none>"


def columns(group: str, kind: str) -> Columns:
    """A kind's columns; name and creation time where it has none of its own."""
    return _COLUMNS.get((group, kind), DEFAULT)


def of_another(columns: Columns, convert: Callable[[Object], Object]) -> Columns:
    """Columns of objects that are first to be converted."""

    def shown(column: Column) -> Column:
        return replace(column, show=lambda obj: column.show(convert(obj)))

    return tuple(shown(column) for column in columns)


def _path(name: str, *path: str | int, default: Cell = "", kind: str = "string", priority: int = 0) -> Column:
    def show(obj: Object) -> Cell:
        value = dig(obj, *path)
        return default if value is None else value

    return Column(name, show, kind, priority)


def _containers(*path: str) -> tuple[Column, Column]:
    def names(obj: Object) -> Cell:
        return ",".join(c.get("name", "") for c in dig(obj, *path, "containers") or ())

    def images(obj: Object) -> Cell:
        return ",".join(c.get("image", "") for c in dig(obj, *path, "containers") or ())

    return Column("Containers", names, priority=1), Column("Images", images, priority=1)


def _selector(obj: Object) -> Cell:
    return format_selector(dig(obj, "spec", "selector"))


def _labels(labels: Json) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or _NONE


def _deployment_ready(obj: Object) -> Cell:
    return f"{dig(obj, 'status', 'readyReplicas') or 0}/{dig(obj, 'spec', 'replicas') or 0}"


DEPLOYMENT: Columns = (
    NAME,
    Column("Ready", _deployment_ready),
    _path("Up-to-date", "status", "updatedReplicas", default=0),
    _path("Available", "status", "availableReplicas", default=0),
    AGE,
    *_containers("spec", "template", "spec"),
    Column("Selector", _selector, priority=1),
)
REPLICA_SET: Columns = (
    NAME,
    _path("Desired", "spec", "replicas", default=0, kind="integer"),
    _path("Current", "status", "replicas", default=0, kind="integer"),
    _path("Ready", "status", "readyReplicas", default=0, kind="integer"),
    AGE,
    *_containers("spec", "template", "spec"),
    Column("Selector", _selector, priority=1),
)


def _job_status(obj: Object) -> Cell:
    held = {c["type"] for c in dig(obj, "status", "conditions") or () if c.get("status") == "True"}
    if "Complete" in held:
        return "Complete"
    if "Failed" in held:
        return "Failed"
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if "Suspended" in held:
        return "Suspended"
    return (
        "FailureTarget"
        if "FailureTarget" in held
        else "SuccessCriteriaMet"
        if "SuccessCriteriaMet" in held
        else "Running"
    )


def _completions(obj: Object) -> Cell:
    succeeded, wanted = dig(obj, "status", "succeeded") or 0, dig(obj, "spec", "completions")
    if wanted is not None:
        return f"{succeeded}/{wanted}"
    parallelism = dig(obj, "spec", "parallelism") or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job_duration(obj: Object) -> Cell:
    start = dig(obj, "status", "startTime")
    if not start:
        return ""
    end = dig(obj, "status", "completionTime")
    return _between(parse_time(start), parse_time(end)) if end else since(start)


def _between(start: datetime | None, end: datetime | None) -> str:
    return human((end - start).total_seconds()) if start and end else ""


JOB: Columns = (
    NAME,
    Column("Status", _job_status),
    Column("Completions", _completions),
    Column("Duration", _job_duration),
    AGE,
    *_containers("spec", "template", "spec"),
    Column("Selector", _selector, priority=1),
)


def _external(obj: Object) -> Cell:
    spec = obj["spec"]
    ips = list(spec.get("externalIPs") or ())
    match spec.get("type"):
        case "ExternalName":
            return spec.get("externalName", "")
        case "LoadBalancer":
            found = [
                i.get("ip") or i.get("hostname") or "" for i in dig(obj, "status", "loadBalancer", "ingress") or ()
            ]
            return ",".join([*found, *ips]) or "<pending>"
        case _:
            return ",".join(ips) or _NONE


def _service_ports(obj: Object) -> Cell:
    def one(port: Object) -> str:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        return f"{port['port']}{node}/{port['protocol']}"

    return ",".join(one(port) for port in obj["spec"].get("ports") or ()) or _NONE


SERVICE: Columns = (
    NAME,
    _path("Type", "spec", "type"),
    _path("Cluster-IP", "spec", "clusterIP", default=_NONE),
    Column("External-IP", _external),
    Column("Port(s)", _service_ports),
    AGE,
    Column("Selector", lambda obj: _labels(obj["spec"].get("selector")), priority=1),
)


def _data_count(*fields: str) -> Column:
    return Column("Data", lambda obj: sum(len(obj.get(field) or {}) for field in fields))


def _hosts(obj: Object) -> Cell:
    hosts = [rule["host"] for rule in dig(obj, "spec", "rules") or () if rule.get("host")]
    if not hosts:
        return "*"
    return ",".join(hosts[:3]) + (f" + {len(hosts) - 3} more..." if len(hosts) > 3 else "")


def _ingress_addresses(obj: Object) -> Cell:
    found = [i.get("ip") or i.get("hostname") or "" for i in dig(obj, "status", "loadBalancer", "ingress") or ()]
    return ",".join(found)


INGRESS: Columns = (
    NAME,
    _path("Class", "spec", "ingressClassName", default=_NONE),
    Column("Hosts", _hosts),
    Column("Address", _ingress_addresses),
    Column("Ports", lambda obj: "80, 443" if dig(obj, "spec", "tls") else "80"),
    AGE,
)


def _node_status(obj: Object) -> Cell:
    ready = next((c for c in dig(obj, "status", "conditions") or () if c.get("type") == "Ready"), None)
    words = ["Unknown"] if ready is None else ["Ready" if ready.get("status") == "True" else "NotReady"]
    if dig(obj, "spec", "unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _node_roles(obj: Object) -> Cell:
    prefix = "node-role.kubernetes.io/"
    found = sorted(key.removeprefix(prefix) for key in obj["metadata"].get("labels") or {} if key.startswith(prefix))
    return ",".join(found) or _NONE


def _node_address(kind: str) -> Column:
    def show(obj: Object) -> Cell:
        return next(
            (a["address"] for a in dig(obj, "status", "addresses") or () if a.get("type") == f"{kind}IP"), _NONE
        )

    return Column(f"{kind}-IP", show, priority=1)


NODE: Columns = (
    NAME,
    Column("Status", _node_status),
    Column("Roles", _node_roles),
    AGE,
    _path("Version", "status", "nodeInfo", "kubeletVersion"),
    _node_address("Internal"),
    _node_address("External"),
    _path("OS-Image", "status", "nodeInfo", "osImage", default="<unknown>", priority=1),
    _path("Kernel-Version", "status", "nodeInfo", "kernelVersion", default="<unknown>", priority=1),
    _path("Container-Runtime", "status", "nodeInfo", "containerRuntimeVersion", default="<unknown>", priority=1),
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
    _path("Type", "type"),
    _path("Reason", "reason"),
    Column("Object", _event_object),
    _path("Subobject", "involvedObject", "fieldPath", priority=1),
    Column("Source", _event_source, priority=1),
    Column("Message", lambda obj: (obj.get("message") or "").strip()),
    Column("First Seen", lambda obj: since(obj.get("firstTimestamp") or obj.get("eventTime")), priority=1),
    _path("Count", "count", default=1, priority=1),
    Column("Name", lambda obj: obj["metadata"]["name"], priority=1),
)


def _metric(metric: Object) -> str:
    kind = metric.get("type", "")
    body = metric.get(kind[:1].lower() + kind[1:]) or {}
    target = body.get("target") or {}
    if kind == "Resource":
        if target.get("averageUtilization") is not None:
            return f"{body.get('name')}: <unknown>/{target['averageUtilization']}%"
        return f"{body.get('name')}: <unknown>/{target.get('averageValue') or '<auto>'}"
    return f"<unknown>/{target.get('averageValue') or target.get('value') or '<auto>'}"


def _targets(obj: Object) -> Cell:
    found = [_metric(metric) for metric in dig(obj, "spec", "metrics") or ()]
    if not found:
        return _NONE
    return ", ".join(found[:2]) + (f" + {len(found) - 2} more..." if len(found) > 2 else "")


AUTOSCALER: Columns = (
    NAME,
    Column(
        "Reference",
        lambda obj: f"{dig(obj, 'spec', 'scaleTargetRef', 'kind')}/{dig(obj, 'spec', 'scaleTargetRef', 'name')}",
    ),
    Column("Targets", _targets),
    Column("MinPods", lambda obj: str(dig(obj, "spec", "minReplicas") or "<unset>")),
    _path("MaxPods", "spec", "maxReplicas"),
    _path("Replicas", "status", "currentReplicas", default=0),
    AGE,
)


def _or_not(name: str, *path: str) -> Column:
    def show(obj: Object) -> Cell:
        value = dig(obj, *path)
        return "N/A" if value is None else str(value)

    return Column(name, show)


BUDGET: Columns = (
    NAME,
    _or_not("Min Available", "spec", "minAvailable"),
    _or_not("Max Unavailable", "spec", "maxUnavailable"),
    _path("Allowed Disruptions", "status", "disruptionsAllowed", default=0, kind="integer"),
    AGE,
)
POLICY: Columns = (
    NAME,
    Column("Pod-Selector", lambda obj: format_selector(dig(obj, "spec", "podSelector") or {})),
    AGE,
)
LEASE: Columns = (NAME, _path("Holder", "spec", "holderIdentity"), AGE)


def _endpoints(obj: Object) -> Cell:
    found = [
        f"{address.get('ip')}:{port.get('port')}"
        for subset in obj.get("subsets") or ()
        for port in subset.get("ports") or ()
        for address in subset.get("addresses") or ()
    ]
    if not found:
        return _NONE
    return ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")


def _slice_list(values: list[str]) -> str:
    if not values:
        return "<unset>"
    return ",".join(values[:3]) + (f" + {len(values) - 3} more..." if len(values) > 3 else "")


def _slice_endpoints(obj: Object) -> Cell:
    found = [address for endpoint in obj.get("endpoints") or () for address in endpoint.get("addresses") or ()]
    return _slice_list(found)


SLICE: Columns = (
    NAME,
    _path("AddressType", "addressType"),
    Column("Ports", lambda obj: _slice_list([str(p.get("port", "*")) for p in obj.get("ports") or ()])),
    Column("Endpoints", _slice_endpoints),
    AGE,
)


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


def _nominated(obj: Object) -> Cell:
    return dig(obj, "status", "nominatedNodeName") or _NONE


def _gates(obj: Object) -> Cell:
    gates = dig(obj, "spec", "readinessGates") or []
    if not gates:
        return _NONE
    held = {c["type"] for c in dig(obj, "status", "conditions") or () if c.get("status") == "True"}
    return f"{sum(gate.get('conditionType') in held for gate in gates)}/{len(gates)}"


POD: Columns = (
    NAME,
    Column("Ready", ready_cell),
    Column("Status", status_cell),
    Column("Restarts", restarts_cell),
    AGE,
    _path("IP", "status", "podIP", default=_NONE, priority=1),
    _path("Node", "spec", "nodeName", default=_NONE, priority=1),
    Column("Nominated Node", _nominated, priority=1),
    Column("Readiness Gates", _gates, priority=1),
)


_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _capacity(obj: Object) -> Cell:
    return dig(obj, "status", "capacity", "storage") or ""


CLAIM: Columns = (
    NAME,
    _path("Status", "status", "phase"),
    _path("Volume", "spec", "volumeName"),
    Column("Capacity", _capacity),
    Column("Access Modes", lambda obj: ",".join(_MODES.get(m, m) for m in dig(obj, "status", "accessModes") or ())),
    _path("StorageClass", "spec", "storageClassName"),
    _path("VolumeAttributesClass", "spec", "volumeAttributesClassName", default="<unset>"),
    AGE,
    _path("VolumeMode", "spec", "volumeMode", default="<unset>", priority=1),
)
_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"
_COLUMNS: dict[tuple[str, str], Columns] = {
    ("", "ConfigMap"): (NAME, _data_count("data", "binaryData"), AGE),
    ("", "Secret"): (NAME, _path("Type", "type"), _data_count("data"), AGE),
    ("", "Namespace"): (NAME, _path("Status", "status", "phase"), AGE),
    ("", "ServiceAccount"): (NAME, Column("Secrets", lambda obj: len(obj.get("secrets") or ())), AGE),
    ("", "Service"): SERVICE,
    ("", "Pod"): POD,
    ("", "Node"): NODE,
    ("", "Event"): EVENT,
    ("", "Endpoints"): (NAME, Column("Endpoints", _endpoints), AGE),
    ("", "PersistentVolumeClaim"): CLAIM,
    ("apps", "Deployment"): DEPLOYMENT,
    ("apps", "ReplicaSet"): REPLICA_SET,
    ("batch", "Job"): JOB,
    ("networking.k8s.io", "Ingress"): INGRESS,
    ("networking.k8s.io", "IngressClass"): (
        NAME,
        _path("Controller", "spec", "controller"),
        Column("Parameters", lambda obj: dig(obj, "spec", "parameters", "name") or _NONE),
        AGE,
    ),
    ("networking.k8s.io", "NetworkPolicy"): POLICY,
    ("policy", "PodDisruptionBudget"): BUDGET,
    ("autoscaling", "HorizontalPodAutoscaler"): AUTOSCALER,
    ("coordination.k8s.io", "Lease"): LEASE,
    ("discovery.k8s.io", "EndpointSlice"): SLICE,
    (_RBAC, "RoleBinding"): BINDING,
    (_RBAC, "ClusterRoleBinding"): BINDING,
    (_ADMISSION, "ValidatingAdmissionPolicy"): (
        NAME,
        Column("Validations", lambda obj: len(dig(obj, "spec", "validations") or ())),
        Column("ParamKind", lambda obj: _param(dig(obj, "spec", "paramKind"))),
        AGE,
    ),
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): (
        NAME,
        _path("PolicyName", "spec", "policyName"),
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
