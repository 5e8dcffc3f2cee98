"""What a kube-apiserver serves and this one does not: answered with 501, where anything else unknown is 404."""

from __future__ import annotations

from kubesandbox import errors
from kubesandbox.errors import StatusError
from kubesandbox.paths import RequestInfo

_RESOURCES: dict[str, str] = {
    "": "bindings componentstatuses limitranges persistentvolumes podtemplates replicationcontrollers resourcequotas",
    "apps": "controllerrevisions daemonsets statefulsets",
    "batch": "cronjobs",
    "admissionregistration.k8s.io": "mutatingadmissionpolicies mutatingadmissionpolicybindings "
    "mutatingwebhookconfigurations validatingwebhookconfigurations",
    "apiregistration.k8s.io": "apiservices",
    "certificates.k8s.io": "certificatesigningrequests clustertrustbundles podcertificaterequests",
    "coordination.k8s.io": "leasecandidates",
    "flowcontrol.apiserver.k8s.io": "flowschemas prioritylevelconfigurations",
    "networking.k8s.io": "ipaddresses servicecidrs",
    "node.k8s.io": "runtimeclasses",
    "resource.k8s.io": "deviceclasses resourceclaims resourceclaimtemplates resourceslices",
    "scheduling.k8s.io": "priorityclasses",
    "storage.k8s.io": "csidrivers csinodes csistoragecapacities storageclasses volumeattachments "
    "volumeattributesclasses",
}
_GROUPS = frozenset(_RESOURCES) | {
    "apiextensions.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "discovery.k8s.io",
    "events.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
}
_SUBRESOURCES: dict[tuple[str, str], str] = {
    ("", "pods"): "attach ephemeralcontainers exec portforward proxy resize",
    ("", "services"): "proxy",
    ("", "nodes"): "proxy",
}


def resource(info: RequestInfo) -> StatusError | None:
    """The refusal of a resource that a real server has."""
    if info.resource in _RESOURCES.get(info.group, "").split():
        return errors.not_implemented(f"{errors.qualified(info.resource, info.group)} ({info.version})")
    return None


def subresource(info: RequestInfo) -> StatusError | None:
    """The refusal of a subresource that a real server has."""
    if info.subresource in _SUBRESOURCES.get((info.group, info.resource), "").split():
        return errors.not_implemented(f"{info.resource}/{info.subresource}")
    return None


def known_group(group: str) -> bool:
    """Whether a real server has this group of its own: what leads nowhere below it is told by a Status."""
    return group in _GROUPS


def below_known_group(path: str) -> bool:
    """Whether a path is of a version that a group of the server's own does not have."""
    parts = path.strip("/").split("/")
    if parts[0] == "api":
        return len(parts) > 1
    return parts[0] == "apis" and len(parts) > 2 and known_group(parts[1])
