"""The HTTP edge of the API server: authentication, authorization, routing, and errors as Status bodies."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING

from kubesandbox import discovery, errors, rendering, unserved
from kubesandbox.authentication import authenticate
from kubesandbox.errors import StatusError
from kubesandbox.handlers import Resources
from kubesandbox.options import check_timeout
from kubesandbox.paths import RequestInfo, request_info
from kubesandbox.wire.messages import Answer, HttpRequest, Stream, text_answer

if TYPE_CHECKING:
    from kubesandbox.cluster import Cluster
    from kubesandbox.kinds import Kind
    from kubesandbox.openapi import OpenApi

_log = logging.getLogger(__name__)


class ApiServer:
    """Answers every request of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._resources = Resources(cluster)
        self._discovery = discovery.Discovery(cluster.kinds)

    @cached_property
    def _openapi(self) -> OpenApi:
        """The OpenAPI documents; a server that nobody asks for them never loads what makes them."""
        from kubesandbox.openapi import OpenApi

        return OpenApi(self._cluster.kinds)

    async def __call__(self, request: HttpRequest) -> Answer | Stream:
        """Answer one request; nothing escapes but cancellation."""
        try:
            return await self._answer(request)
        except StatusError as error:
            return rendering.refusal(error, request)
        except Exception as error:  # noqa: BLE001 - a bug here must not take the server down
            _log.exception("%s %s", request.method, request.target)
            return rendering.refusal(errors.internal_error(f"{type(error).__name__}: {error}"), request)

    async def _answer(self, request: HttpRequest) -> Answer | Stream:
        if request.too_large:
            raise StatusError(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")
        info = request_info(request)
        check_timeout(request)
        user = authenticate(self._cluster, request)
        self._cluster.authorizer.check(user, info)
        if not info.is_resource:
            return self._no_resource(request)
        kind = self._cluster.kinds.find(info.group, info.version, info.resource)
        if kind is not None and info.verb not in kind.verbs and not info.subresource:
            refused = unserved.resource(info)
            if refused:
                raise refused
        if kind is None or not routed(kind, info):
            refused = unserved.resource(info) if kind is None else None
            if refused:
                raise refused
            if unserved.known_group(info.group):
                raise errors.no_route()
            return text_answer(404, "404 page not found\n")
        if request.method == "HEAD" and not kind.strategy.custom:
            raise errors.wrong_method()
        hostility = self._cluster.hostility
        if hostility:
            hostility.before(kind, info)
        answer = await self._resources.handle(kind, info, request, user)
        if hostility:
            hostility.after(info, answer.status)
        return answer

    def _no_resource(self, request: HttpRequest) -> Answer:
        """Answer what is asked of no resource: discovery, documents, health."""
        found = self._discovery.handle(request)
        if found is None and request.path.startswith("/openapi/"):
            found = self._openapi.handle(request)
        if found is None and unserved.below_known_group(request.path):
            raise errors.no_route()
        return found or text_answer(404, "404 page not found\n")


ACROSS_NAMESPACES = frozenset({"list", "watch"})


def routed(kind: Kind, info: RequestInfo) -> bool:
    """Whether a path of this form leads to the kind: namespaced ones are read across namespaces, and no more."""
    if not kind.namespaced:
        return not info.namespace or kind.plural == "namespaces"
    if info.namespace or info.verb in ACROSS_NAMESPACES:
        return True
    return not kind.strategy.custom and not info.name  # built-in kinds know the path, and answer 405
