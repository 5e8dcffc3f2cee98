"""What the API server answers when it does not do what was asked.

https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#http-status-codes
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """One `details.causes` entry of a Status: which field, and what is wrong with it."""

    field: str
    message: str
    reason: str = ""


class KubeError(Exception):
    """A request that failed. `status` is HTTP's, 0 when there was no answer; `reason` is metav1's."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        reason: str = "",
        causes: Sequence[Cause] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = tuple(causes)
        self.retry_after = retry_after
        """Seconds that the server asked us to wait."""

    @property
    def namespace_terminating(self) -> bool:
        """The object cannot be created because its namespace is being deleted."""
        return any(cause.reason == "NamespaceTerminating" for cause in self.causes)


class NotFound(KubeError):
    """There is no such object, or no such resource type."""


class AlreadyExists(KubeError):
    """The name is taken."""


class Conflict(KubeError):
    """The object has changed since it was read, or is not the one that was meant."""


class Invalid(KubeError):
    """The object is not valid; `causes` name the fields."""


class Forbidden(KubeError):
    """Access rules, a quota or an admission policy say no; the message says which."""


class Unauthorized(KubeError):
    """The credentials were not accepted."""

    mend = "the API server does not take your credentials. Log in again, or set KUBECONFIG to another file."


class Gone(KubeError):
    """The resourceVersion or continue token is too old: list again."""


class TooManyRequests(KubeError):
    """Not processed. Safe to repeat after `retry_after` seconds."""


class Unavailable(KubeError):
    """No answer, a time-out or a 5xx: what was asked may or may not have been done."""


_BY_STATUS: dict[int, type[KubeError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


_NOT_TYPED = "failed to create typed patch object"
"""How kube-apiserver begins what it says, with 500, of an applied object that does not fit its schema: a wrong type, or
two entries of one key. Trying again gives the same."""


def from_status(status: int, body: bytes | str, retry_after: str | None = None) -> KubeError:
    """The error that a Status object (or whatever a proxy answered) stands for."""
    try:
        parsed: object = json.loads(body)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        text = body.decode(errors="replace") if isinstance(body, bytes) else body
        return _kind(status, "")(
            text.strip()[:500] or f"HTTP {status}", status=status, retry_after=_seconds(retry_after)
        )
    details = parsed.get("details")
    details = details if isinstance(details, dict) else {}
    causes = [
        Cause(str(cause.get("field", "")), str(cause.get("message", "")), str(cause.get("reason", "")))
        for cause in details.get("causes") or ()
        if isinstance(cause, dict)
    ]
    reason, message = str(parsed.get("reason", "")), str(parsed.get("message") or f"HTTP {status}")
    wait = _seconds(retry_after)
    return (Invalid if message.startswith(_NOT_TYPED) else _kind(status, reason))(
        message,
        status=status,
        reason=reason,
        causes=causes,
        retry_after=wait if wait is not None else _seconds(details.get("retryAfterSeconds")),
    )


def _kind(status: int, reason: str) -> type[KubeError]:
    if reason == "AlreadyExists":
        return AlreadyExists
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return Unavailable if status >= 500 else KubeError


def _seconds(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None
