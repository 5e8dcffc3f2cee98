"""The ClusterRoles and bindings that every cluster has, as far as what is served here needs them."""

from __future__ import annotations

from collections.abc import Iterator

from kubesandbox.objects import Object

_BOOTSTRAP = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]
_READ = ["get", "list", "watch"]
_EDITED = (
    (
        "",
        "configmaps endpoints events persistentvolumeclaims pods secrets serviceaccounts services",
    ),
    ("apps", "daemonsets deployments deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale"),
    ("autoscaling", "horizontalpodautoscalers"),
    ("batch", "cronjobs jobs"),
    ("networking.k8s.io", "ingresses networkpolicies"),
    ("policy", "poddisruptionbudgets"),
    ("coordination.k8s.io", "leases"),
)
_NOT_VIEWED = frozenset({"secrets"})
_VIEWED_TOO = (
    ("", "namespaces pods/log pods/status services/status persistentvolumeclaims/status"),
    ("apps", "deployments/status replicasets/status"),
    ("autoscaling", "horizontalpodautoscalers/status"),
    ("batch", "jobs/status"),
    ("discovery.k8s.io", "endpointslices"),
    ("networking.k8s.io", "ingresses/status"),
    ("policy", "poddisruptionbudgets/status"),
)


def _rule(group: str, resources: list[str], verbs: list[str]) -> Object:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def _role(name: str, rules: list[Object], *, labels: dict[str, str] | None = None, to: str = "") -> Object:
    body: Object = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": {**_BOOTSTRAP, **(labels or {})}},
        "rules": rules,
    }
    if to:
        selector = {"matchLabels": {f"rbac.authorization.k8s.io/aggregate-to-{to}": "true"}}
        body["aggregationRule"] = {"clusterRoleSelectors": [selector]}
    return body


def cluster_roles() -> Iterator[Object]:
    """The default ClusterRoles."""
    label = "rbac.authorization.k8s.io/aggregate-to-"
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    yield _role("cluster-admin", [everything, {"nonResourceURLs": ["*"], "verbs": ["*"]}])
    yield _role("admin", [], to="admin")
    yield _role("edit", [], to="edit", labels={f"{label}admin": "true"})
    yield _role("view", [], to="view", labels={f"{label}edit": "true"})
    admin = [
        _rule("authorization.k8s.io", ["localsubjectaccessreviews"], ["create"]),
        _rule("rbac.authorization.k8s.io", ["rolebindings", "roles"], [*_WRITE, *_READ]),
    ]
    yield _role("system:aggregate-to-admin", admin, labels={f"{label}admin": "true"})
    edit = [_rule(group, resources.split(), _WRITE) for group, resources in _EDITED]
    edit += [
        _rule("", ["secrets"], _READ),
        _rule("", ["serviceaccounts"], ["impersonate"]),
        _rule("", ["serviceaccounts/token"], ["create"]),
        _rule("", ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy"], [*_WRITE, *_READ]),
    ]
    yield _role("system:aggregate-to-edit", edit, labels={f"{label}edit": "true"})
    view = [_rule(group, [r for r in text.split() if r not in _NOT_VIEWED], _READ) for group, text in _EDITED]
    view += [_rule(group, resources.split(), _READ) for group, resources in _VIEWED_TOO]
    yield _role("system:aggregate-to-view", view, labels={f"{label}view": "true"})
    yield _role(
        "system:basic-user",
        [
            _rule("authorization.k8s.io", ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], ["create"]),
            _rule("authentication.k8s.io", ["selfsubjectreviews"], ["create"]),
        ],
    )
    discovery = ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz"]
    yield _role("system:discovery", [{"nonResourceURLs": [*discovery, "/version", "/version/"], "verbs": ["get"]}])
    issuer = ["/.well-known/openid-configuration", "/.well-known/openid-configuration/"]
    keys = ["/openid/v1/jwks", "/openid/v1/jwks/"]
    yield _role("system:service-account-issuer-discovery", [{"nonResourceURLs": [*issuer, *keys], "verbs": ["get"]}])
    yield _role(
        "system:public-info-viewer",
        [{"nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"], "verbs": ["get"]}],
    )


def cluster_role_bindings() -> Iterator[Object]:
    """The default ClusterRoleBindings."""
    for role, groups in (
        ("cluster-admin", ["system:masters"]),
        ("system:basic-user", ["system:authenticated"]),
        ("system:discovery", ["system:authenticated"]),
        ("system:service-account-issuer-discovery", ["system:serviceaccounts"]),
        ("system:public-info-viewer", ["system:authenticated", "system:unauthenticated"]),
    ):
        yield {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": role, "labels": dict(_BOOTSTRAP)},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group} for group in groups],
        }
