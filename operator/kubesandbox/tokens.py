"""ServiceAccount tokens: JWTs that this server signs and knows again."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from kubesandbox.auth import AUTHENTICATED, User
from kubesandbox.objects import Object, dig

if TYPE_CHECKING:
    from kubesandbox.store import Store

ISSUER = "https://kubernetes.default.svc.cluster.local"
ALGORITHM = "HS256"


def account_user(namespace: str, name: str, uid: str, extra: dict[str, tuple[str, ...]] | None = None) -> User:
    """The user that a ServiceAccount is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
    return User(f"system:serviceaccount:{namespace}:{name}", groups, uid, extra or {})


class Tokens:
    """Signs and checks. The key lives as long as the server: its tokens are worth nothing elsewhere or later.

    HMAC instead of kube-apiserver's RSA: nobody else is to verify these tokens, and none is published to do it with.
    """

    audience = ISSUER

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = secrets.token_bytes(32)

    def issue(self, account: Object, audiences: Sequence[str], seconds: int, bound: Object | None) -> tuple[str, float]:
        """A token for an account, and when it expires (seconds since the epoch)."""
        meta, issued = account["metadata"], int(time.time())
        about: Object = {
            "namespace": meta["namespace"],
            "serviceaccount": {"name": meta["name"], "uid": meta["uid"]},
        }
        if bound:
            about[bound["kind"].lower()] = {"name": bound["name"], "uid": bound["uid"]}
        claims = {
            "aud": list(audiences) or [self.audience],
            "exp": issued + seconds,
            "iat": issued,
            "iss": ISSUER,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": about,
            "nbf": issued,
            "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
        }
        return self._sign(claims), issued + seconds

    def legacy(self, account: Object, secret: str) -> str:
        """The token that a Secret of type service-account-token holds: it does not expire."""
        meta = account["metadata"]
        prefix = "kubernetes.io/serviceaccount"
        return self._sign(
            {
                "iss": "kubernetes/serviceaccount",
                f"{prefix}/namespace": meta["namespace"],
                f"{prefix}/secret.name": secret,
                f"{prefix}/service-account.name": meta["name"],
                f"{prefix}/service-account.uid": meta["uid"],
                "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
            }
        )

    def _sign(self, claims: Object) -> str:
        head = _encode(orjson.dumps({"alg": ALGORITHM, "typ": "JWT"}))
        body = f"{head}.{_encode(orjson.dumps(claims))}"
        return f"{body}.{_encode(self._mac(body))}"

    def _mac(self, text: str) -> bytes:
        return hmac.new(self._key, text.encode(), hashlib.sha256).digest()

    def check(self, token: str, audiences: Sequence[str] = ()) -> User | str:
        """The user whose token this is, or what is wrong with it."""
        claims = self._claims(token)
        if claims is None:
            return "invalid bearer token"
        if claims["iss"] == ISSUER:
            return self._bound(claims, audiences)
        prefix = "kubernetes.io/serviceaccount"
        return self._account(
            claims[f"{prefix}/namespace"],
            claims[f"{prefix}/service-account.name"],
            claims[f"{prefix}/service-account.uid"],
            [("secrets", claims[f"{prefix}/secret.name"], None)],
            {},
        )

    def _claims(self, token: str) -> Object | None:
        body, _, mac = token.rpartition(".")
        try:
            given = _decode(mac)
        except (ValueError, binascii.Error):
            return None
        if body.count(".") != 1 or not hmac.compare_digest(given, self._mac(body)):
            return None
        found: Object = orjson.loads(_decode(body.split(".")[1]))
        return found

    def _bound(self, claims: Object, audiences: Sequence[str]) -> User | str:
        if time.time() >= claims["exp"]:
            return "[invalid bearer token, service account token has expired]"
        wanted = list(audiences) or [self.audience]
        if not set(wanted) & set(claims["aud"]):
            return (
                f"[invalid bearer token, token audiences {claims['aud']} is invalid for the target audiences {wanted}]"
            )
        about = claims["kubernetes.io"]
        bound = [
            (f"{kind}s", about[kind]["name"], about[kind]["uid"]) for kind in ("pod", "secret", "node") if kind in about
        ]
        extra: dict[str, tuple[str, ...]] = {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
        for kind in ("pod", "node"):
            if kind in about:
                extra[f"authentication.kubernetes.io/{kind}-name"] = (about[kind]["name"],)
                extra[f"authentication.kubernetes.io/{kind}-uid"] = (about[kind]["uid"],)
        account = about["serviceaccount"]
        return self._account(about["namespace"], account["name"], account["uid"], bound, extra)

    def _account(
        self,
        namespace: str,
        name: str,
        uid: str,
        bound: Sequence[tuple[str, str, str | None]],
        extra: dict[str, tuple[str, ...]],
    ) -> User | str:
        account = self._store.table("", "serviceaccounts").get(namespace, name)
        if account is None or dig(account.object, "metadata", "uid") != uid:
            return "[invalid bearer token, service account token has been invalidated]"
        for plural, bound_name, bound_uid in bound:
            where = "" if plural == "nodes" else namespace
            found = self._store.table("", plural).get(where, bound_name)
            if found is None or (bound_uid and found.object["metadata"]["uid"] != bound_uid):
                return "[invalid bearer token, service account token has been invalidated]"
        return account_user(namespace, name, uid, extra)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
