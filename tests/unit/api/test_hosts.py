"""Which hosts and URLs a connector may name."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from switchboard.api.hosts import host_allowed
from switchboard.api.meta import BaseUrl, HttpUrl


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://agents.example.com", True),
        ("https://AGENTS.example.com:8443/in", True),
        ("http://agents.example.com", False),
        ("https://extra.example.org", True),
        ("https://a.wild.example", True),
        ("https://b.a.wild.example", True),
        ("https://wild.example", False),
        ("https://notwild.example", False),
        ("https://port.example:8443", True),
        ("https://port.example", False),
        ("https://default.example", True),
        ("http://default.example", False),
        ("https://agents.example.com.", False),
        ("https://agents.example.com.evil.example", False),
        ("https://evil.example/?agents.example.com", False),
        ("https://agents.example.com@evil.example", False),
        ("https://agents.example.com\\@evil.example", False),
        ("https://evil.example\\.wild.example", False),
        ("https://:443", False),
        ("https://[::1", False),
        ("https://agents.example.com:99999", False),
        ("https://agents.example.com:x", False),
    ],
)
def test_hosts_are_compared_whole(url: str, allowed: bool) -> None:
    entries = ["extra.example.org", "*.wild.example", "port.example:8443", "default.example:443"]
    assert host_allowed(url, ["https://agents.example.com", None], entries) is allowed


@pytest.mark.parametrize(
    "url",
    [
        "https://agents.example.com",
        "http://localhost:8080",
        "http://[::1]:8080/base",
        "https://agents.example.com/one/two-3/",
        "https://agents.example.com:65535",
    ],
)
def test_base_urls_are_taken(url: str) -> None:
    assert TypeAdapter(BaseUrl).validate_python(url) == url
    assert TypeAdapter(HttpUrl).validate_python(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1",
        "https://agents.example.com:999999",
        "https://agents.example.com:0",
        "https://agents.example.com:x",
        "https://:443",
        "https://agents.example.com\\@evil.example",
        "https://user@agents.example.com",
        "https://exa\N{ACCOUNT OF}mple.com",
        "https://agents.example.com\n",
        "ftp://agents.example.com",
    ],
)
def test_what_libraries_read_in_different_ways_is_no_url(url: str) -> None:
    for kind in (BaseUrl, HttpUrl):
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_python(url)


@pytest.mark.parametrize("rest", ["/?x=1", "/twilio/../admin", "//two", "/%2e%2e/x", "/a b", "/.hidden/", "/a#b"])
def test_what_is_added_to_holds_no_query_and_no_step_back(rest: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(BaseUrl).validate_python("https://agents.example.com" + rest)
