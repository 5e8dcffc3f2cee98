"""Signatures of requests to an endpoint, as https://www.standardwebhooks.com specifies them (version v1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from switchboard.engines.base import EngineMisconfigured

PREFIX = "whsec_"
"""Marks a secret that is given in base64."""
KEY_MIN = 16
"""Bytes: a shorter key can be guessed."""


def key(secret: str, field: str) -> bytes:
    """The key's bytes: `whsec_` and base64, or any other text as it is.

    Raises:
        EngineMisconfigured: it is no base64 or too short.
    """
    try:
        value = base64.b64decode(secret.removeprefix(PREFIX), validate=True) if secret.startswith(PREFIX) else None
    except (binascii.Error, ValueError):
        raise EngineMisconfigured(
            "SigningSecretInvalid",
            f"{field}: what follows {PREFIX} is not base64; make one with `openssl rand -base64 32`",
        ) from None
    value = secret.encode() if value is None else value
    if len(value) < KEY_MIN:
        raise EngineMisconfigured(
            "SigningSecretInvalid",
            f"{field}: the secret has {len(value)} bytes and needs {KEY_MIN}; make one with `openssl rand -base64 32`",
        )
    return value


def headers(secret_key: bytes, identifier: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers that sign one request. `timestamp` is in Unix seconds."""
    signed = b".".join((identifier.encode(), str(timestamp).encode(), body))
    digest = hmac.new(secret_key, signed, hashlib.sha256).digest()
    return {
        "webhook-id": identifier,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
