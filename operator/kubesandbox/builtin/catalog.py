"""Which built-in kinds are served: names, scope, subresources, and whose rules they follow."""

from __future__ import annotations

from collections.abc import Iterator

from kubesandbox import reviews
from kubesandbox.builtin import (
    access,
    claims,
    columns,
    core,
    endpoints,
    jobs,
    networking,
    pods,
    policy,
    readonly,
    services,
    tables,
    types,
    workloads,
)
from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.custom.definitions import definition_kind
from kubesandbox.kinds import STANDARD_VERBS, STATUS, Kind, Subresource
from kubesandbox.policies import strategies as policies

SCALE = Subresource("scale", ("get", "patch", "update"), "Scale", "autoscaling", "v1")
CREATE_ONLY = ("create",)


def _kind(
    group_version: str,
    kind: str,
    plural: str,
    strategy: BuiltinStrategy,
    *,
    namespaced: bool = True,
    short: str = "",
    categories: str = "",
    subresources: tuple[Subresource, ...] = (),
    verbs: tuple[str, ...] = STANDARD_VERBS,
    stored: tuple[str, str] | None = None,
) -> Kind:
    group, _, version = group_version.rpartition("/")
    strategy.type_name = types.type_name(group, version, kind)
    strategy.printed = tables.columns(group, kind)
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
    yield from readonly.kinds()


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
    yield _kind(v1, "Endpoints", "endpoints", endpoints.EndpointsStrategy(), short="ep")
    yield _kind(
        v1, "Service", "services", services.ServiceStrategy(), short="svc", categories="all", subresources=(STATUS,)
    )
    yield _kind(
        v1,
        "Pod",
        "pods",
        pods.PodStrategy(),
        short="po",
        categories="all",
        subresources=(
            STATUS,
            Subresource("log", ("get",)),
            Subresource("binding", ("create",), "Binding", "", "v1"),
            Subresource("eviction", ("create",), "Eviction", "policy", "v1"),
        ),
    )
    yield _kind(v1, "Node", "nodes", core.NodeStrategy(), namespaced=False, short="no", subresources=(STATUS,))
    yield _kind(
        v1,
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        claims.ClaimStrategy(),
        short="pvc",
        subresources=(STATUS,),
    )


def event_kind() -> Kind:
    """Events as events.k8s.io has them: the core group's, with other names."""
    strategy = core.NewEventStrategy()
    kind = _kind("events.k8s.io/v1", "Event", "events", strategy, short="ev", stored=("", "events"))
    strategy.printed = columns.of_another(tables.EVENT, core.to_core_event)
    kind.convert, kind.restore = core.to_new_event, core.to_core_event
    return kind


def autoscaler_kind() -> Kind:
    """HorizontalPodAutoscalers as autoscaling/v1 has them: of the metrics, the CPU's only."""
    strategy = policy.OldAutoscalerStrategy()
    kind = _kind(
        "autoscaling/v1",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        strategy,
        short="hpa",
        categories="all",
        subresources=(STATUS,),
        stored=("autoscaling", "horizontalpodautoscalers"),
    )
    strategy.printed = columns.of_another(strategy.printed, policy.to_new_autoscaler)
    kind.convert, kind.restore = policy.to_old_autoscaler, policy.to_new_autoscaler
    return kind


def _reviews() -> Iterator[Kind]:
    authorization, authentication = "authorization.k8s.io/v1", "authentication.k8s.io/v1"
    for group_version, name, strategy, namespaced in (
        (authorization, "SelfSubjectAccessReview", reviews.SelfAccessStrategy(), False),
        (authorization, "SubjectAccessReview", reviews.AccessStrategy(), False),
        (authorization, "LocalSubjectAccessReview", reviews.AccessStrategy(), True),
        (authorization, "SelfSubjectRulesReview", reviews.RulesStrategy(), False),
        (authentication, "SelfSubjectReview", reviews.SelfStrategy(), False),
        (authentication, "TokenReview", reviews.TokenReviewStrategy(), False),
    ):
        yield _kind(group_version, name, f"{name.lower()}s", strategy, namespaced=namespaced, verbs=CREATE_ONLY)


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
    yield _kind("batch/v1", "Job", "jobs", jobs.JobStrategy(), categories="all", subresources=(STATUS,))
    yield event_kind()
    yield _kind("coordination.k8s.io/v1", "Lease", "leases", core.LeaseStrategy())
    yield _kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", endpoints.EndpointSliceStrategy())
    net = "networking.k8s.io/v1"
    yield _kind(net, "Ingress", "ingresses", networking.IngressStrategy(), short="ing", subresources=(STATUS,))
    yield _kind(net, "IngressClass", "ingressclasses", networking.IngressClassStrategy(), namespaced=False)
    yield _kind(net, "NetworkPolicy", "networkpolicies", networking.NetworkPolicyStrategy(), short="netpol")
    yield _kind(
        "policy/v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        policy.DisruptionBudgetStrategy(),
        short="pdb",
        subresources=(STATUS,),
    )
    yield _kind(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        policy.AutoscalerStrategy(),
        short="hpa",
        categories="all",
        subresources=(STATUS,),
    )
    yield autoscaler_kind()
    rbac = "rbac.authorization.k8s.io/v1"
    yield from _reviews()
    admission = "admissionregistration.k8s.io/v1"
    yield _kind(
        admission,
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        policies.PolicyStrategy(),
        namespaced=False,
        categories="api-extensions",
        subresources=(STATUS,),
    )
    yield _kind(
        admission,
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        policies.BindingStrategy(),
        namespaced=False,
        categories="api-extensions",
    )
    yield _kind(rbac, "Role", "roles", access.RoleStrategy(namespaced=True))
    yield _kind(rbac, "RoleBinding", "rolebindings", access.BindingStrategy(namespaced=True))
    yield _kind(rbac, "ClusterRole", "clusterroles", access.RoleStrategy(namespaced=False), namespaced=False)
    yield _kind(
        rbac, "ClusterRoleBinding", "clusterrolebindings", access.BindingStrategy(namespaced=False), namespaced=False
    )
