"""What the API answers when it refuses: `metav1.Status` bodies with kube-apiserver's reasons, codes and sentences.

Texts are those of k8s.io/apimachinery/pkg/api/errors and k8s.io/apiserver (v1.36).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

from kubesandbox.schema.causes import Cause


class CauseBody(TypedDict, total=False):
    """One entry of `details.causes`."""

    reason: str
    message: str
    field: str


class StatusDetails(TypedDict, total=False):
    """`details` of a Status: what the refusal is about."""

    name: str
    group: str
    kind: str
    uid: str
    causes: list[CauseBody]
    retryAfterSeconds: int


class StatusBody(TypedDict):
    """A `metav1.Status` as it goes over the wire."""

    kind: str
    apiVersion: str
    metadata: dict[str, str]
    status: str
    message: NotRequired[str]
    reason: NotRequired[str]
    details: NotRequired[StatusDetails]
    code: NotRequired[int]


class StatusError(Exception):
    """A refused request: raised anywhere below the HTTP edge, answered there as its Status."""

    def __init__(self, code: int, reason: str, message: str, details: StatusDetails | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    @property
    def body(self) -> StatusBody:
        """The Status that says this."""
        body: StatusBody = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details is not None:
            body["details"] = self.details
        if not self.reason:
            del body["reason"]
        return body


def success(name: str, group: str, resource: str, uid: str) -> StatusBody:
    """The Status that tells of an object that is gone at once."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {**_about(group, resource, name), "uid": uid},
    }


def qualified(name: str, group: str) -> str:
    """`plural.group`, or the bare plural in the core group."""
    return f"{name}.{group}" if group else name


def _about(group: str, kind: str, name: str) -> StatusDetails:
    details: StatusDetails = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    return details


def not_found(group: str, resource: str, name: str) -> StatusError:
    """404 for an object that does not exist."""
    return StatusError(
        404, "NotFound", f'{qualified(resource, group)} "{name}" not found', _about(group, resource, name)
    )


def already_exists(group: str, resource: str, name: str) -> StatusError:
    """409 for a name that is taken."""
    return StatusError(
        409, "AlreadyExists", f'{qualified(resource, group)} "{name}" already exists', _about(group, resource, name)
    )


def conflict(group: str, resource: str, name: str, why: str) -> StatusError:
    """409 for a write that lost a race or whose precondition does not hold."""
    return StatusError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why}',
        _about(group, resource, name),
    )


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def apply_conflict(message: str, causes: Sequence[Mapping[str, str]]) -> StatusError:
    """409 of server-side apply: other managers own the fields named in the causes."""
    found: list[CauseBody] = [
        {"reason": cause["reason"], "message": cause["message"], "field": cause["field"]} for cause in causes
    ]
    return StatusError(409, "Conflict", message, {"causes": found})


def _cause(cause: Cause) -> CauseBody:
    body: CauseBody = {"reason": cause.reason, "message": cause.message}
    # field.ErrorList.ToAggregate's path of no field at all
    body["field"] = cause.field or "[]"
    return body


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> StatusError:
    """422: the object as a whole was understood and some of its fields are refused."""
    sentences = list(dict.fromkeys(f"{cause.field or '[]'}: {cause.message}" for cause in causes))
    said = sentences[0] if len(sentences) == 1 else f"[{', '.join(sentences)}]"
    details = _about(group, kind, name)
    details["causes"] = [_cause(cause) for cause in causes]
    return StatusError(422, "Invalid", f'{qualified(kind, group)} "{name}" is invalid: {said}', details)


def bad_request(message: str) -> StatusError:
    """400: the request cannot be understood."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """401: there is a credential and it is worth nothing."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(group: str, resource: str, name: str, why: str, causes: Sequence[CauseBody] = ()) -> StatusError:
    """403 for an object, or for a kind as a whole where `name` is empty."""
    subject = f'{qualified(resource, group)} "{name}"' if name else qualified(resource, group)
    said = f"{subject} is forbidden: {why}" if subject else f"forbidden: {why}"
    details = _about(group, resource, name)
    if causes:
        details["causes"] = list(causes)
    return StatusError(403, "Forbidden", said, details)


def method_not_allowed(group: str, resource: str, verb: str) -> StatusError:
    """405 for a verb that this resource does not have."""
    return StatusError(
        405,
        "MethodNotAllowed",
        f'{verb} is not supported on resources of kind "{qualified(resource, group)}"',
        _about(group, resource, ""),
    )


def no_route() -> StatusError:
    """404 for a path below an API group of the server's own that leads nowhere (apiserver's serviceErrorHandler)."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def wrong_method() -> StatusError:
    """405 for a method that a path of the server's own API groups does not have."""
    text = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", text, {})


def not_acceptable(accepted: Sequence[str]) -> StatusError:
    """406: the client takes nothing that can be served."""
    return StatusError(406, "NotAcceptable", f"only the following media types are accepted: {', '.join(accepted)}")


def none_represented(available: Sequence[str]) -> StatusError:
    """406 of the router of built-in kinds: the Accept header has no media type that is served."""
    text = f"406: Not Acceptable\n\nAvailable representations: {', '.join(available)}"
    return StatusError(406, "NotAcceptable", text, {})


def unsupported_media_type(accepted: Sequence[str]) -> StatusError:
    """415: the body's format is not one that this verb takes."""
    return StatusError(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}",
    )


def expired(message: str) -> StatusError:
    """410: the resourceVersion or continue token is older than what is kept."""
    return StatusError(410, "Expired", message)


def too_large_resource_version(asked: int, current: int) -> StatusError:
    """504: the resourceVersion has not been given out yet."""
    return StatusError(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {current}",
        {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
    )


def too_many_requests(message: str, retry_after: int) -> StatusError:
    """429 with the seconds after which to try again."""
    return StatusError(429, "TooManyRequests", message, {"retryAfterSeconds": retry_after})


def internal_error(message: str) -> StatusError:
    """500 with the cause as its only detail."""
    return StatusError(
        500,
        "InternalError",
        f"Internal error occurred: {message}",
        {"causes": [{"reason": "InternalError", "message": message}]},
    )


def not_implemented(what: str) -> StatusError:
    """501: a real kube-apiserver does this, and kubesandbox says that it does not."""
    return StatusError(501, "NotImplemented", f"kubesandbox does not implement {what}")
