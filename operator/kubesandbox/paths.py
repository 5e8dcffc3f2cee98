"""What a request is about: verb, group, version, resource and name, as the authorizer and the router see it."""

from __future__ import annotations

from dataclasses import dataclass

from kubesandbox.options import truth
from kubesandbox.wire.messages import HttpRequest

_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


@dataclass(frozen=True)
class RequestInfo:
    """apiserver's RequestInfo: where `resource` is empty, the path is no resource's."""

    verb: str
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    rest: tuple[str, ...] = ()  # path segments below the subresource

    @property
    def is_resource(self) -> bool:
        """Whether the path names a resource."""
        return bool(self.resource)


def request_info(request: HttpRequest) -> RequestInfo:
    """Read a request's path and method."""
    parts = [part for part in request.path.strip("/").split("/") if part] if request.path != "/" else []
    verb = request.method.lower()
    if len(parts) < 3 or parts[0] not in {"api", "apis"}:
        return RequestInfo(verb, request.path)
    group = ""
    if parts[0] == "apis":
        if len(parts) < 4:
            return RequestInfo(verb, request.path)
        group, parts = parts[1], parts[2:]
    else:
        parts = parts[1:]
    version, parts = parts[0], parts[1:]
    verb = _VERBS.get(request.method, "")
    watch_path = parts[0] == "watch" and len(parts) > 1
    if watch_path:
        parts = parts[1:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in _NAMESPACE_SUBRESOURCES:
            parts = parts[2:]
    resource, name, subresource, *rest = [*parts, "", ""][: max(3, len(parts))]
    if watch_path:
        verb = "watch"
    elif not name and verb == "get":
        verb = "watch" if truth(request.param("watch")) else "list"
    elif not name and verb == "delete":
        verb = "deletecollection"
    return RequestInfo(verb, request.path, group, version, resource, subresource, namespace, name, tuple(rest))
