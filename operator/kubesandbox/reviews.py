"""Questions put as objects: who am I, may I, is this token good. Answered at once, never kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesandbox import bodies, decoding, errors, options, rendering
from kubesandbox.auth import User
from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.metadata import now
from kubesandbox.objects import Json, Object, dig
from kubesandbox.paths import RequestInfo
from kubesandbox.schema import causes
from kubesandbox.store import Version
from kubesandbox.wire.messages import Answer, HttpRequest

if TYPE_CHECKING:
    from kubesandbox.kinds import Kind
    from kubesandbox.strategy import Request


class ReviewStrategy(BuiltinStrategy):
    """A kind that is only ever created, and answered with its status."""

    def answer(self, obj: Object, request: Request) -> Object:
        """The status."""
        raise NotImplementedError

    async def create(self, kind: Kind, request: HttpRequest, context: Request) -> Answer:
        """Answer a POST."""
        how = rendering.negotiate(request)
        options.apply_to(context, options.write_options(request, "CreateOptions"))
        obj = decoding.receive(kind, bodies.read_object(request, kind.kind), context)
        obj["status"] = self.answer(obj, context)
        obj["metadata"].pop("namespace", None)
        if kind.namespaced:
            obj["metadata"]["namespace"] = context.namespace
        return rendering.one(kind, Version(obj, 0), how, request, status=201)


def _invalid(*found: causes.Cause) -> errors.StatusError:
    return errors.invalid("authorization.k8s.io", "", "", list(found))  # without a kind, as kube-apiserver has it


def _go_fields(path: Object) -> Object:
    """NonResourceAttributes as Go prints its internal type, whose fields have no JSON names."""
    return {"Path": path.get("path", ""), "Verb": path.get("verb", "")}


def _attributes(spec: Object, namespace: str = "") -> RequestInfo:
    """What is asked about, as the authorizer sees requests."""
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        text = "cannot be specified in combination with resourceAttributes"
        raise _invalid(causes.invalid("spec.nonResourceAttributes", _go_fields(path), text))
    if resource is None and path is None:
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise _invalid(causes.invalid("spec.resourceAttributes", None, text))
    if path is not None:
        return RequestInfo(path.get("verb", ""), path.get("path", ""))
    resource = resource or {}
    found = resource.get("namespace", "")
    if namespace and found != namespace:
        raise _invalid(causes.invalid("spec.resourceAttributes.namespace", found, "must match metadata.namespace"))
    return RequestInfo(
        resource.get("verb", ""),
        "",
        resource.get("group", ""),
        resource.get("version", ""),
        resource.get("resource", "") or "*",
        resource.get("subresource", ""),
        found,
        resource.get("name", ""),
    )


def _decided(request: Request, user: User, about: RequestInfo) -> Object:
    decision = request.cluster.authorizer.decide(user, about)
    status: Object = {"allowed": decision.allowed}
    if decision.reason:
        status["reason"] = decision.reason
    return status


class SelfAccessStrategy(ReviewStrategy):
    """SelfSubjectAccessReview."""

    def answer(self, obj: Object, request: Request) -> Object:
        about = _attributes(obj.get("spec") or {})
        return _decided(request, request.user, about)


class AccessStrategy(ReviewStrategy):
    """SubjectAccessReview and LocalSubjectAccessReview."""

    def answer(self, obj: Object, request: Request) -> Object:
        spec = obj.get("spec") or {}
        if not spec.get("user") and not spec.get("groups"):
            text = "at least one of user or group must be specified"
            raise _invalid(causes.invalid("spec.user", "", text))
        about = _attributes(spec, request.namespace)
        # Asked of somebody else, roles and bindings answer, as they do where somebody poses as them.
        user = User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""), impersonated=True)
        return _decided(request, user, about)


class RulesStrategy(ReviewStrategy):
    """SelfSubjectRulesReview, of which the status alone is answered."""

    def answer(self, obj: Object, request: Request) -> Object:
        namespace = dig(obj, "spec", "namespace")
        if not namespace:
            raise errors.bad_request("no namespace on request")
        obj["spec"], obj["metadata"] = {}, {"creationTimestamp": None}
        resource: list[Json] = []
        paths: list[Json] = []
        for rule in request.cluster.authorizer.rules(request.user, namespace):
            if rule.get("nonResourceURLs"):
                paths.append({"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]})
            if rule.get("resources"):
                keys = ("verbs", "apiGroups", "resources", "resourceNames")
                resource.append({key: rule[key] for key in keys if rule.get(key)})
        return {"resourceRules": resource, "nonResourceRules": paths, "incomplete": False}


class SelfStrategy(ReviewStrategy):
    """SelfSubjectReview."""

    def answer(self, obj: Object, request: Request) -> Object:
        obj["metadata"]["creationTimestamp"] = now()
        return {"userInfo": user_info(request.user)}


class TokenReviewStrategy(ReviewStrategy):
    """TokenReview."""

    def answer(self, obj: Object, request: Request) -> Object:
        token = dig(obj, "spec", "token")
        if not token:
            raise errors.bad_request("token is required for TokenReview in authentication")
        audiences = dig(obj, "spec", "audiences") or []
        user = request.cluster.tokens.check(token, audiences)
        if isinstance(user, str):
            return {"user": {}, "error": user}
        return {
            "authenticated": True,
            "user": user_info(user),
            "audiences": audiences or [request.cluster.tokens.audience],
        }


def user_info(user: User) -> Object:
    """A `authentication.k8s.io/v1` UserInfo."""
    body: Object = {"username": user.name}
    if user.uid:
        body["uid"] = user.uid
    if user.groups:
        body["groups"] = list(user.groups)
    if user.extra:
        body["extra"] = {key: list(values) for key, values in user.extra.items()}
    return body
