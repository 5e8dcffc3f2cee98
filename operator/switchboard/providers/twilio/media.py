"""Fetching a file that came with a text, within bounds.

Twilio answers with a redirect to where the file is kept; the account's credentials do not go there.
Source: https://www.twilio.com/docs/messaging/api/media-resource
"""

import ipaddress
from collections.abc import Sequence
from fnmatch import fnmatch
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from switchboard.providers.base import Media, MediaContent
from switchboard.providers.errors import MediaRefusedError
from switchboard.providers.twilio.api import TwilioAPI, proxy_for
from switchboard.providers.twilio.errors import from_answer, from_exception

_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_REDIRECTS = 3
_PRIVATE = (".local", ".internal", ".localhost", ".svc", ".home.arpa")
"""Ends of names that no public host has. https://www.iana.org/assignments/special-use-domain-names"""


async def download(api: TwilioAPI, media: Media, *, max_bytes: int, types: Sequence[str] = ()) -> MediaContent:
    """The file and the type that the server gives it. Raises MediaRefusedError over a bound, or ProviderError."""
    try:
        return await _download(api, media, max_bytes, types)
    except ValueError:
        raise MediaRefusedError("The media's address is no URL.", reason="MediaRefused") from None


async def _download(api: TwilioAPI, media: Media, max_bytes: int, types: Sequence[str]) -> MediaContent:
    _check_type(media.content_type, types)
    from switchboard.providers.twilio.transport import basic_auth, is_twilio

    url = media.url
    if api.base_url and is_twilio(url) and not api.is_here(url):  # through the gateway, as every request
        url = api.base_url + urlsplit(url).path
    if not (api.is_here(url) or is_twilio(url)):
        raise MediaRefusedError("The media is not at Twilio: credentials go nowhere else.", reason="MediaRefused")
    headers = {"Authorization": basic_auth(*api.credentials.login)}
    try:
        for _ in range(_MAX_REDIRECTS + 1):
            async with api.connections.session.get(
                URL(url, encoded=True), headers=headers, allow_redirects=False, proxy=proxy_for(url)
            ) as answer:
                if answer.status in _REDIRECTS and "Location" in answer.headers:
                    target = urljoin(url, answer.headers["Location"])
                    if not api.is_here(target) and not _is_public(target):
                        raise MediaRefusedError(
                            "The media is kept neither at Twilio nor behind https on a public host.",
                            reason="MediaRefused",
                        )
                    url, headers = target, {}
                    continue
                if answer.status != 200:
                    raise from_answer(answer.status, None, answer.headers, once=False)
                return await _read(answer, max_bytes, types)
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise from_exception(error, once=False) from None
    raise MediaRefusedError("The media is behind too many redirects.", reason="MediaRefused")


def _is_public(url: str) -> bool:
    """Whether a URL is https to an address, or a name, that may be one of the internet's: an egress gateway's redirect
    does not lead into the cluster."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    if parts.scheme != "https":
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_PRIVATE)


async def _read(answer: aiohttp.ClientResponse, max_bytes: int, types: Sequence[str]) -> MediaContent:
    content_type = answer.headers.get("Content-Type", "application/octet-stream").partition(";")[0].strip().lower()
    _check_type(content_type, types)
    too_large = MediaRefusedError(f"The media is larger than {max_bytes} bytes.", reason="MediaTooLarge")
    if (answer.content_length or 0) > max_bytes:
        raise too_large
    content = bytearray()
    async for chunk in answer.content.iter_chunked(64 * 1024):
        content += chunk
        if len(content) > max_bytes:
            raise too_large
    return MediaContent(bytes(content), content_type)


def _check_type(content_type: str, types: Sequence[str]) -> None:
    if types and not any(fnmatch(content_type.lower(), allowed) for allowed in types):
        raise MediaRefusedError(f"The media's type {content_type[:80]!r} is not allowed.", reason="MediaTypeNotAllowed")
