"""X-Twilio-Signature over parameters that are parsed already, by the standard library alone.

base64(HMAC(token, URL + each unique key in order, with each of its unique values in order)). The verdicts are those of
the SDK's `RequestValidator` (a property test holds them together) at a fraction of its time; only that nothing hostile
raises, and that user information and IPv6 hosts in a URL are signed as they stand, where the SDK mangles them.
Source: https://www.twilio.com/docs/usage/webhooks/webhooks-security
"""

import hashlib
import hmac
from binascii import b2a_base64
from collections.abc import Iterable, Sequence
from hmac import compare_digest
from itertools import chain
from urllib.parse import parse_qs, urldefrag, urlsplit

SIGNATURE_HEADER = "X-Twilio-Signature"
SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"

Pairs = Sequence[tuple[str, str]]


class SignedURL:
    """A URL in the two forms that Twilio may have signed: as it is without a port, and with the port written out."""

    __slots__ = ("forms",)

    def __init__(self, url: str) -> None:
        """`url`: absolute, as it was registered; the fragment (connection overrides) is not signed and falls away.

        Raises ValueError if it is not an http or https URL.
        """
        parts = urlsplit(urldefrag(url).url)
        port = parts.port
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("a signed URL is absolute, with http or https and a host")
        user, at, host = parts.netloc.rpartition("@")
        if port:
            bare, ported = host[: host.rindex(":")], host
        else:
            bare, ported = host, f"{host}:{443 if parts.scheme == 'https' else 80}"
        self.forms: tuple[bytes, bytes] = (
            parts._replace(netloc=user + at + bare).geturl().encode(),
            parts._replace(netloc=user + at + ported).geturl().encode(),
        )


class _Key:
    """A token with the two halves of its HMAC begun, so that a check only hashes what was signed."""

    __slots__ = ("_inner", "_outer", "token")

    def __init__(self, token: str) -> None:
        self.token = token.encode()
        key = self.token if len(self.token) <= 64 else hashlib.sha1(self.token, usedforsecurity=False).digest()
        key = key.ljust(64, b"\0")
        self._inner = hashlib.sha1(bytes(b ^ 0x36 for b in key), usedforsecurity=False)
        self._outer = hashlib.sha1(bytes(b ^ 0x5C for b in key), usedforsecurity=False)

    def sha1(self, message: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return b2a_base64(outer.digest(), newline=False)

    def sha256(self, message: bytes) -> bytes:
        return b2a_base64(hmac.digest(self.token, message, "sha256"), newline=False)


def canonical(pairs: Pairs) -> bytes:
    """What follows the URL in the signed text: keys in order, each with its values in order, none twice."""
    unique = set(pairs)  # Twilio sends them in order, which a set has not: sorting that takes longer
    return "".join(chain.from_iterable(sorted(pairs if len(unique) == len(pairs) else unique))).encode()


class SignatureCheck:
    """Says whether a webhook was signed with one of the tokens (two while one is being rotated). Never raises."""

    __slots__ = ("_keys",)

    def __init__(self, tokens: Iterable[str]) -> None:
        """Raises ValueError without a token: an empty key would be one that anybody can sign with."""
        self._keys = [_Key(token) for token in tokens if token]
        if not self._keys:
            raise ValueError("a signature check needs at least one auth token")

    def form(self, url: SignedURL, pairs: Pairs, signature: str | None, settings: str = "") -> bool:
        """The verdict on a form-encoded POST.

        `pairs` in any order, blank values kept; `settings` is the header that names another algorithm, if it came.
        """
        try:
            return self._signed(url, canonical(pairs), signature, settings)
        except UnicodeEncodeError:  # a lone surrogate: nothing that Twilio signed
            return False

    def json(self, url: str, body: bytes, signature: str | None, settings: str = "") -> bool:
        """The verdict on a JSON POST: its URL with the query is signed, and carries the body's hash as `bodySHA256`."""
        try:
            claimed = parse_qs(urlsplit(url).query).get("bodySHA256")
            if not claimed or not compare_digest(hashlib.sha256(body).hexdigest().encode(), claimed[0].encode()):
                return False
            return self._signed(SignedURL(url), b"", signature, settings)
        except ValueError:  # no URL, or no text
            return False

    def _signed(self, url: SignedURL, rest: bytes, signature: str | None, settings: str) -> bool:
        if not signature:
            return False
        given = signature.encode("utf-8", "replace")
        algorithm = signature_algorithm(settings) if settings else "HMAC_SHA1"
        if algorithm == "HMAC_SHA1":
            sign = _Key.sha1
        elif algorithm == "HMAC_SHA256":
            sign = _Key.sha256
        else:
            return False
        for key in self._keys:
            for form in url.forms:
                if compare_digest(sign(key, form + rest), given):
                    return True
        return False


def sign(token: str, url: str, pairs: Pairs) -> str:
    """What Twilio puts into `X-Twilio-Signature` for a form-encoded POST of `pairs` to `url`."""
    return _Key(token).sha1(urldefrag(url).url.encode() + canonical(pairs)).decode()


def signature_algorithm(settings: str) -> str:
    """The algorithm that the settings header names, in capitals; `HMAC_SHA1` if it names none."""
    for part in settings.split(","):
        name, separator, value = part.partition("=")
        if separator and name.strip() == "algorithm" and value.strip():
            return value.strip().upper()
    return "HMAC_SHA1"
