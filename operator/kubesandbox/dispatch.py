"""Which function answers a subresource with ways of its own; each is loaded when it is first asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubesandbox.kinds import Kind
    from kubesandbox.paths import RequestInfo
    from kubesandbox.strategy import Request
    from kubesandbox.wire.messages import Answer, HttpRequest, Stream

    SubresourceHandler = Callable[[Kind, RequestInfo, HttpRequest, Request], Awaitable[Answer | Stream]]


def handler_of(kind: Kind, subresource: str) -> SubresourceHandler | None:
    """What answers, or None for one that is not served."""
    load = _LOADERS.get((kind.group, kind.plural, subresource)) or _LOADERS.get(("*", "*", subresource))
    return load() if load else None


def _scale() -> SubresourceHandler:
    from kubesandbox.scale import ScaleHandler

    return ScaleHandler()


def _log() -> SubresourceHandler:
    from kubesandbox.podlogs import log

    return log


def _evict() -> SubresourceHandler:
    from kubesandbox.eviction import evict

    return evict


def _binding() -> SubresourceHandler:
    from kubesandbox.subresources import binding

    return binding


def _token() -> SubresourceHandler:
    from kubesandbox.subresources import token

    return token


def _finalize() -> SubresourceHandler:
    from kubesandbox.subresources import finalize

    return finalize


_LOADERS: dict[tuple[str, str, str], Callable[[], SubresourceHandler]] = {
    ("*", "*", "scale"): _scale,
    ("", "pods", "log"): _log,
    ("", "pods", "eviction"): _evict,
    ("", "pods", "binding"): _binding,
    ("", "serviceaccounts", "token"): _token,
    ("", "namespaces", "finalize"): _finalize,
}
