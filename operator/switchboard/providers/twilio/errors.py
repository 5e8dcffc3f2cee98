"""From what Twilio answered, or did not, to the tree of `providers.errors`.

Twilio's own text is never taken over: it names phone numbers, and its wording varies. The code decides, then
the status.
"""

import asyncio
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import aiohttp

from switchboard.providers.errors import (
    AccountUnusableError,
    CredentialsError,
    NotFoundError,
    OutcomeUnknownError,
    ProviderError,
    RejectedError,
    UnavailableError,
)
from switchboard.providers.twilio.codes import CODES, Code, Next

_UNAVAILABLE = "TwilioUnavailable"
_UNKNOWN = "OutcomeUnknown"
_LATER = {408, 409, 423, 425}
_MAX_RETRY_AFTER = 3600.0


def from_answer(
    status: int, code: int | None, headers: Mapping[str, str], *, once: bool, now: float | None = None
) -> ProviderError:
    """The error in an answer of `status`. `once`: the request must not happen twice, as sending a text.

    `code`: Twilio's own, or None. `now`: the time that an absolute Retry-After is taken from, in seconds since 1970.
    """
    kind, text = _classify(status, code, once)
    wait = retry_after(headers, now) if issubclass(kind, UnavailableError | OutcomeUnknownError) else None
    return _error(kind, text, code, status, wait)


def _classify(status: int, code: int | None, once: bool) -> tuple[type[ProviderError], Code]:
    known = CODES.get(code or 0)
    if status >= 500:
        return _server_error(status, once)
    if status < 400:
        text = Code("NotTwilio", f"The answer is no JSON of Twilio's ({status}).", "Check api.baseURL.")
        return (OutcomeUnknownError if once and status < 300 else UnavailableError), text
    if status == 429 or (known is not None and known.next is Next.WAIT):
        return UnavailableError, known or CODES[20429]
    if status in _LATER:
        return UnavailableError, Code(_UNAVAILABLE, f"Twilio puts the request off ({status}).", "")
    return _refusal(status, code, known)


def _refusal(status: int, code: int | None, known: Code | None) -> tuple[type[ProviderError], Code]:
    if known is not None and known.reason == "AccountSuspended":
        return AccountUnusableError, known
    if status in {401, 403}:
        return CredentialsError, known or CODES[20003]
    if status == 404:
        return NotFoundError, known or CODES[20404]
    where = f"See https://www.twilio.com/docs/api/errors/{code}" if code else ""
    return RejectedError, known or Code("Rejected", f"Twilio refused the request ({status}).", where)


def _server_error(status: int, once: bool) -> tuple[type[ProviderError], Code]:
    if once:
        return OutcomeUnknownError, Code(_UNKNOWN, f"Twilio failed ({status}), and may have processed the request.", "")
    return UnavailableError, Code(_UNAVAILABLE, f"Twilio failed on its side ({status}).", "")


def from_exception(error: Exception, *, once: bool) -> ProviderError:
    """The error in a request without an answer."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        mend = "Check the trusted certificates and api.baseURL."
        return _error(UnavailableError, Code(_UNAVAILABLE, "Twilio's certificate is not trusted.", mend))
    if isinstance(
        error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.ClientProxyConnectionError
    ):
        mend = "Check the egress policy, DNS and api.baseURL."
        return _error(UnavailableError, Code(_UNAVAILABLE, "Twilio cannot be reached.", mend))
    how = "in time" if isinstance(error, asyncio.TimeoutError) else "and the connection broke"
    if once:
        text = Code(_UNKNOWN, f"Twilio did not answer {how}; the request may have been processed.", "")
        return _error(OutcomeUnknownError, text)
    return _error(UnavailableError, Code(_UNAVAILABLE, f"Twilio did not answer {how}.", ""))


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds from a Retry-After header, an hour at most; None without one that can be read."""
    value = headers.get("Retry-After", "")
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            if now is None:
                return None
            seconds = parsedate_to_datetime(value).timestamp() - now
        except ValueError:
            return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER) if seconds == seconds else None  # noqa: PLR0124 - not a number


def _error(
    kind: type[ProviderError],
    text: Code,
    code: int | None = None,
    status: int | None = None,
    wait: float | None = None,
) -> ProviderError:
    sentence = text.sentence if code is None else f"{text.sentence} (Twilio's code {code}.)"
    return kind(sentence, reason=text.reason, mend=text.mend, code=code, status=status, retry_after=wait)
