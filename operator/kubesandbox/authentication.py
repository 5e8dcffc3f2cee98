"""Whose request it is, from its Authorization and Impersonate headers."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING

from kubesandbox import errors
from kubesandbox.auth import ADMIN, ANONYMOUS, AUTHENTICATED, User
from kubesandbox.paths import RequestInfo
from kubesandbox.rbac.authorizer import refusal
from kubesandbox.tokens import account_user

if TYPE_CHECKING:
    from kubesandbox.cluster import Cluster
    from kubesandbox.wire.messages import HttpRequest

_EXTRA = "impersonate-extra-"


def authenticate(cluster: Cluster, request: HttpRequest) -> User:
    """The request's user; 401 for a credential that is worth nothing, 403 for an impersonation not allowed."""
    header = request.headers.get("authorization", "")
    if not header:
        if cluster.admin_token is None and not _is_local(request.headers.get("host", "")):
            raise errors.unauthorized()
        return _impersonated(cluster, request, ADMIN if cluster.admin_token is None else ANONYMOUS)
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer":
        raise errors.unauthorized()
    if cluster.admin_token is not None and hmac.compare_digest(token.encode(), cluster.admin_token.encode()):
        return _impersonated(cluster, request, ADMIN)
    found = cluster.tokens.check(token)
    if isinstance(found, str):
        raise errors.unauthorized()
    return _impersonated(cluster, request, found)


def _is_local(host: str) -> bool:
    """Whether a Host header is an address or this machine: a web page under another name is not let in as admin."""
    name = host.rsplit(":", 1)[0].strip("[]") if not host.endswith("]") else host.strip("[]")
    if name in {"", "localhost"}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _impersonated(cluster: Cluster, request: HttpRequest, user: User) -> User:
    name = request.headers.get("impersonate-user", "")
    groups = request.header_values("impersonate-group")
    uid = request.headers.get("impersonate-uid", "")
    extra = {
        key.removeprefix(_EXTRA): tuple(request.header_values(key)) for key in request.headers if key.startswith(_EXTRA)
    }
    if not name:
        if groups or uid or extra:
            raise errors.internal_error("requested impersonation without impersonating a user")
        return user
    parts = name.split(":")
    is_account = len(parts) == 4 and parts[:2] == ["system", "serviceaccount"]
    if is_account:
        _check(cluster, user, "serviceaccounts", parts[3], parts[2])
    else:
        _check(cluster, user, "users", name)
    for group in groups:
        _check(cluster, user, "groups", group)
    if is_account and not groups:
        return replace(account_user(parts[2], parts[3], uid, extra), impersonated=True)
    kept = tuple(groups) if AUTHENTICATED in groups or name == "system:anonymous" else (*groups, AUTHENTICATED)
    return User(name, kept, uid, extra, impersonated=True)


def _check(cluster: Cluster, user: User, resource: str, name: str, namespace: str = "") -> None:
    about = RequestInfo("impersonate", "", "", "v1", resource, "", namespace, name)
    if not cluster.authorizer.decide(user, about).allowed:
        raise refusal(user, about)
