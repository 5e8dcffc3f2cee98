"""What stands at Twilio is compared with what is wanted, whatever somebody wrote there."""

from __future__ import annotations

import pytest

from switchboard.api.runtime import OVERRIDES
from switchboard.reconcile.twilio import Carrier, Kind
from switchboard.reconcile.webhooks import host_of, is_switchboard, points_here, registered, same_address

from .samples import connector

URL = "https://hooks.example.com/twilio/acme/sms"
OURS = URL + OVERRIDES
THEIRS = "https://user:secret@old.example.com/sms"
NO_URLS = ["https://[::1", "https://h:x/", "https://exa\N{ACCOUNT OF}mple.com/", "http://", ""]


def number(url: str, method: str = "POST", kind: Kind = Kind.NUMBER) -> Carrier:
    return Carrier(kind, "PN1", url=url, method=method)


@pytest.mark.parametrize(
    ("current", "method", "as_wanted"),
    [
        (OURS, "POST", True),
        (OURS, "post", True),
        (URL + "#rp=5xx,rt,ct&rc=5&rt=3000&ct=2000", "POST", True),
        ("HTTPS://HOOKS.example.com:443/twilio/acme/sms" + OVERRIDES, "POST", True),
        ("", "POST", False),
        (THEIRS, "POST", False),
        (OURS.replace("acme", "acme2"), "POST", False),
        (OURS.replace("/sms", "/SMS"), "POST", False),
        (OURS.replace("https://", "https://user@"), "POST", False),
        (URL + "?x=1" + OVERRIDES, "POST", False),
        (OURS.replace("https", "http"), "POST", False),
        (OURS.replace(".com", ".com:8443"), "POST", False),
        (OURS, "GET", False),
        (URL, "POST", False),
        (URL + "#rc=1", "POST", False),
        *((url, "POST", False) for url in NO_URLS),
    ],
)
def test_a_webhook_is_as_wanted_or_not(current: str, method: str, *, as_wanted: bool) -> None:
    assert registered(number(current, method), OURS) is as_wanted


def test_a_sender_may_have_lost_its_overrides() -> None:
    assert registered(number(URL, kind=Kind.SENDER), OURS)
    assert not registered(number(URL + "#rc=1", kind=Kind.SENDER), OURS)


@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_url_is_nobodys_and_breaks_nothing(url: str) -> None:
    assert not points_here(url, connector())
    assert not is_switchboard(url)
    assert not same_address(url, OURS)
    assert host_of(url) in {"", "https://h"}


def test_of_a_url_only_scheme_and_host_are_shown() -> None:
    assert host_of(THEIRS) == "https://old.example.com"
