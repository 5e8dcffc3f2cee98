"""Discovery, plain and aggregated, and the other paths that are no resource's."""

from __future__ import annotations

import base64
import hashlib

import orjson

from kubesandbox.kinds import Kind, Kinds, Subresource
from kubesandbox.negotiation import Accepted, accepted
from kubesandbox.objects import Object
from kubesandbox.rendering import answer
from kubesandbox.wire.messages import Answer, HttpRequest, json_answer, text_answer

# What kube-apiserver advertises unless told otherwise; clients go by their kubeconfig.
ADVERTISED = "127.0.0.1:6443"
VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2+kubesandbox",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "go1.26",
    "compiler": "gc",
    "platform": "linux/amd64",
}
_SHAPES = frozenset({"APIGroupDiscoveryList"})
# The order of groups in /apis (kube-apiserver's priorities); custom groups come after, by name.
GROUP_ORDER = (
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "flowcontrol.apiserver.k8s.io",
)


class Discovery:
    """Answers GET of /api, /apis, /version, health and their like."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds

    def handle(self, request: HttpRequest) -> Answer | None:
        """The answer, or None where nothing is at this path."""
        path = request.path.rstrip("/") or "/"
        if request.method not in {"GET", "HEAD"}:
            return None
        if path in {"/healthz", "/livez", "/readyz"} or path.startswith(("/livez/", "/readyz/", "/healthz/")):
            if request.param("verbose") is None or path.count("/") > 1:
                return text_answer(200, "ok")
            checks = "".join(f"[+]{check} ok\n" for check in ("ping", "log", "etcd"))
            return text_answer(200, f"{checks}{path[1:]} check passed\n")
        if path in {"/", "/version"}:
            return json_answer(200, VERSION if path == "/version" else {"paths": self._paths()})
        if path.split("/")[1] not in {"api", "apis"}:
            return None
        return self._discover(path.strip("/").split("/"), accepted(request.headers.get("accept"), _SHAPES))

    def _discover(self, parts: list[str], how: Accepted) -> Answer | None:
        match parts:
            case ["api"]:
                return self._api(how)
            case ["apis"]:
                return self._apis(how)
            case ["api", version]:
                return self._resources("", version, how)
            case ["apis", group]:
                return self._group(group, how)
            case ["apis", group, version]:
                return self._resources(group, version, how)
            case _:
                return None

    def _groups(self) -> dict[str, list[str]]:
        """Groups in discovery's order, each with its versions, the preferred one first."""
        found: dict[str, list[str]] = {}
        for kind in self._kinds:
            versions = found.setdefault(kind.group, [])
            if kind.version not in versions:
                versions.append(kind.version)

        def order(group: str) -> tuple[int, str]:
            return (GROUP_ORDER.index(group), "") if group in GROUP_ORDER else (len(GROUP_ORDER), group)

        return {group: sorted(found[group], key=version_order) for group in sorted(found, key=order)}

    def _paths(self) -> list[str]:
        groups = self._groups()
        paths = ["/.well-known/openid-configuration", "/api", "/api/v1", "/apis"]
        for group, versions in groups.items():
            if group:
                paths += [f"/apis/{group}", *(f"/apis/{group}/{version}" for version in versions)]
        return sorted(
            [*paths, "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version"]
        )

    def _api(self, how: Accepted) -> Answer:
        if how.shape:
            return self._aggregated([""], how)
        body = {
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ADVERTISED}],
        }
        return answer(orjson.dumps(body), how)

    def _apis(self, how: Accepted) -> Answer:
        groups = [group for group in self._groups() if group]
        if how.shape:
            return self._aggregated(groups, how)
        body = {"kind": "APIGroupList", "apiVersion": "v1", "groups": [self._api_group(group) for group in groups]}
        return answer(orjson.dumps(body), how)

    def _api_group(self, group: str) -> Object:
        versions = [{"groupVersion": f"{group}/{v}", "version": v} for v in self._groups()[group]]
        return {"name": group, "versions": versions, "preferredVersion": versions[0]}

    def _group(self, group: str, how: Accepted) -> Answer | None:
        if group not in self._groups():
            return None
        return answer(orjson.dumps({"kind": "APIGroup", "apiVersion": "v1", **self._api_group(group)}), how)

    def _resources(self, group: str, version: str, how: Accepted) -> Answer | None:
        kinds = [k for k in self._kinds if k.group == group and k.version == version]
        if not kinds:
            return None
        resources = [entry for kind in sorted(kinds, key=lambda k: k.plural) for entry in _plain(kind)]
        group_version = f"{group}/{version}" if group else version
        head: Object = {"kind": "APIResourceList", **({"apiVersion": "v1"} if group else {})}
        body = {**head, "groupVersion": group_version, "resources": resources}
        return answer(orjson.dumps(body), how)

    def _aggregated(self, groups: list[str], how: Accepted) -> Answer:
        items = []
        for group in groups:
            versions = [self._aggregated_version(group, version) for version in self._groups().get(group, [])]
            metadata: Object = {"creationTimestamp": None}
            if group:
                metadata["name"] = group
            items.append({"metadata": metadata, "versions": versions})
        version = how.version if how.version in {"v2", "v2beta1"} else "v2"
        body = {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"apidiscovery.k8s.io/{version}",
            "metadata": {},
            "items": items,
        }
        result = answer(orjson.dumps(body), how)
        result.content_type = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
        result.headers.append(("Vary", "Accept"))
        return result

    def _aggregated_version(self, group: str, version: str) -> Object:
        kinds = sorted((k for k in self._kinds if k.group == group and k.version == version), key=lambda k: k.plural)
        return {"version": version, "resources": [_rich(kind) for kind in kinds], "freshness": "Current"}


def version_order(version: str) -> tuple[int, int, int, str]:
    """Kubernetes' order of versions: v2 before v1 before v1beta1 before v1alpha1, then by name."""
    import re

    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if not match:
        return (3, 0, 0, version)
    major, stage, minor = match.groups()
    return ({None: 0, "beta": 1, "alpha": 2}[stage], -int(major), -int(minor or 0), "")


def _plain(kind: Kind) -> list[Object]:
    entry: Object = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(_verbs(kind)),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if "list" in kind.verbs:
        entry["storageVersionHash"] = storage_version_hash(kind)
    return [entry, *(_plain_subresource(kind, kind.subresources[name]) for name in sorted(kind.subresources))]


def _plain_subresource(kind: Kind, subresource: Subresource) -> Object:
    entry: Object = {"name": f"{kind.plural}/{subresource.name}", "singularName": "", "namespaced": kind.namespaced}
    if subresource.kind and (subresource.group, subresource.version) != (kind.group, kind.version):
        entry |= {"group": subresource.group, "version": subresource.version}
    return entry | {"kind": subresource.kind or kind.kind, "verbs": list(subresource.verbs)}


_CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


def _verbs(kind: Kind) -> tuple[str, ...]:
    return _CUSTOM_VERBS if kind.strategy.custom else kind.verbs


def storage_version_hash(kind: Kind) -> str:
    """apiserver's StorageVersionHash: eight bytes of the stored group, version and kind."""
    text = f"{kind.group}/{kind.storage_version}/{kind.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def _rich(kind: Kind) -> Object:
    def response(group: str, version: str, name: str) -> Object:
        return {"group": group, "version": version, "kind": name}

    entry: Object = {
        "resource": kind.plural,
        "responseKind": response(kind.group, kind.version, kind.kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(_verbs(kind)),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if kind.subresources:
        entry["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": response(
                    sub.group if sub.kind else kind.group,
                    sub.version if sub.kind else kind.version,
                    sub.kind or kind.kind,
                ),
                "verbs": list(sub.verbs),
            }
            for sub in (kind.subresources[name] for name in sorted(kind.subresources))
        ]
    return entry
