"""Which built-in kinds are served: names, scope, subresources, and whose rules they follow."""

from __future__ import annotations

from collections.abc import Iterator

from kubesandbox.builtin import core, workloads
from kubesandbox.custom.definitions import definition_kind
from kubesandbox.kinds import STANDARD_VERBS, STATUS, Kind, Subresource
from kubesandbox.strategy import Strategy

SCALE = Subresource("scale", ("get", "patch", "update"), "Scale", "autoscaling", "v1")
CREATE_ONLY = ("create",)


def _kind(
    group_version: str,
    kind: str,
    plural: str,
    strategy: Strategy,
    *,
    namespaced: bool = True,
    short: str = "",
    categories: str = "",
    subresources: tuple[Subresource, ...] = (),
    verbs: tuple[str, ...] = STANDARD_VERBS,
    stored: tuple[str, str] | None = None,
) -> Kind:
    group, _, version = group_version.rpartition("/")
    return Kind(
        group,
        version,
        kind,
        plural,
        kind.lower(),
        namespaced,
        strategy,
        tuple(short.split()),
        tuple(categories.split()),
        verbs,
        {sub.name: sub for sub in subresources},
        stored=stored,
    )


def kinds() -> Iterator[Kind]:
    """Every built-in kind."""
    yield definition_kind()
    yield from _core()
    yield from _groups()


def _core() -> Iterator[Kind]:
    v1 = "v1"
    no_collection = tuple(verb for verb in STANDARD_VERBS if verb != "deletecollection")
    yield _kind(
        v1,
        "Namespace",
        "namespaces",
        core.NamespaceStrategy(),
        namespaced=False,
        short="ns",
        subresources=(STATUS, Subresource("finalize", ("update",))),
        verbs=no_collection,
    )
    yield _kind(v1, "ConfigMap", "configmaps", core.ConfigMapStrategy(), short="cm")
    yield _kind(v1, "Secret", "secrets", core.SecretStrategy())
    yield _kind(
        v1,
        "ServiceAccount",
        "serviceaccounts",
        core.ServiceAccountStrategy(),
        short="sa",
        subresources=(Subresource("token", ("create",), "TokenRequest", "authentication.k8s.io", "v1"),),
    )
    yield _kind(v1, "Event", "events", core.EventStrategy(), short="ev")
    yield _kind(v1, "Endpoints", "endpoints", core.EndpointsStrategy(), short="ep")
    yield _kind(v1, "Service", "services", core.ServiceStrategy(), short="svc", categories="all", subresources=(STATUS,))
    yield _kind(
        v1,
        "Pod",
        "pods",
        core.PodStrategy(),
        short="po",
        categories="all",
        subresources=(STATUS, Subresource("log", ("get",)), Subresource("binding", ("create",), "Binding", "", "v1")),
    )
    yield _kind(
        v1, "Node", "nodes", core.NodeStrategy(), namespaced=False, short="no", subresources=(STATUS,)
    )
    yield _kind(
        v1,
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        core.StatusStrategy(),
        short="pvc",
        subresources=(STATUS,),
    )


def _groups() -> Iterator[Kind]:
    apps = "apps/v1"
    yield _kind(
        apps,
        "Deployment",
        "deployments",
        workloads.DeploymentStrategy(),
        short="deploy",
        categories="all",
        subresources=(STATUS, SCALE),
    )
    yield _kind(
        apps,
        "ReplicaSet",
        "replicasets",
        workloads.ReplicaSetStrategy(),
        short="rs",
        categories="all",
        subresources=(STATUS, SCALE),
    )
    yield _kind("batch/v1", "Job", "jobs", workloads.JobStrategy(), categories="all", subresources=(STATUS,))
    yield _kind("coordination.k8s.io/v1", "Lease", "leases", core.LeaseStrategy())
    yield _kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", core.EndpointSliceStrategy())
    generic = workloads.SpecStrategy
    net = "networking.k8s.io/v1"
    yield _kind(net, "Ingress", "ingresses", workloads.IngressStrategy(), short="ing", subresources=(STATUS,))
    yield _kind(net, "IngressClass", "ingressclasses", workloads.PlainSpecStrategy(), namespaced=False)
    yield _kind(net, "NetworkPolicy", "networkpolicies", workloads.PlainSpecStrategy(), short="netpol")
    yield _kind(
        "policy/v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        generic(),
        short="pdb",
        subresources=(STATUS,),
    )
    yield _kind(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        workloads.AutoscalerStrategy(),
        short="hpa",
        categories="all",
        subresources=(STATUS,),
    )
    rbac = "rbac.authorization.k8s.io/v1"
    yield _kind(rbac, "Role", "roles", core.RbacStrategy())
    yield _kind(rbac, "RoleBinding", "rolebindings", core.RbacStrategy())
    yield _kind(rbac, "ClusterRole", "clusterroles", core.RbacStrategy(), namespaced=False)
    yield _kind(rbac, "ClusterRoleBinding", "clusterrolebindings", core.RbacStrategy(), namespaced=False)
