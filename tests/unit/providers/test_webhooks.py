"""What is registered at Twilio is compared with what is wanted, and the difference has a name."""

import pytest

from switchboard.providers.twilio.resources import Application, MessagingService, PhoneNumber, Sender, SenderWebhook
from switchboard.providers.twilio.webhooks import (
    Drift,
    Holder,
    compare,
    find_sms,
    find_whatsapp,
    host_of,
    is_ours,
    registered_url,
)

URL = "https://hooks.example.com/twilio/acme/sms"
OURS = "https://hooks.example.com/twilio/acme/sms#ct=2000&rt=3000&rc=5&rp=ct,rt,5xx"
THEIRS = "https://user:secret@old.example.com/sms"


def number(url: str = OURS, method: str = "POST") -> PhoneNumber:
    return PhoneNumber(sid="PN1", sms_url=url, sms_method=method)


def test_the_registered_url_asks_for_retries_in_its_fragment() -> None:
    assert registered_url(URL) == OURS
    assert registered_url(URL + "#rc=1") == OURS


@pytest.mark.parametrize(
    ("current", "method", "drift"),
    [
        (OURS, "POST", None),
        (URL + "#rp=5xx,rt,ct&rc=5&rt=3000&ct=2000", "POST", None),
        ("HTTPS://HOOKS.example.com:443/twilio/acme/sms#ct=2000&rt=3000&rc=5&rp=ct,rt,5xx", "POST", None),
        ("", "POST", Drift.NOT_SET),
        (THEIRS, "POST", Drift.OTHER_URL),
        (OURS.replace("acme", "acme2"), "POST", Drift.OTHER_URL),
        (OURS.replace("/sms", "/SMS"), "POST", Drift.OTHER_URL),
        (URL + "?x=1", "POST", Drift.OTHER_URL),
        (URL.replace("https", "http"), "POST", Drift.OTHER_URL),
        ("https://h:x/", "POST", Drift.OTHER_URL),
        (OURS, "GET", Drift.OTHER_METHOD),
        (URL, "POST", Drift.OTHER_OVERRIDES),
        (URL + "#rc=1", "POST", Drift.OTHER_OVERRIDES),
    ],
)
def test_a_difference_has_a_name(current: str, method: str, drift: Drift | None) -> None:
    assert compare(current, method, URL) is drift
    finding = find_sms(number(current, method), URL)
    assert (finding.holder, finding.sid, finding.drift) == (Holder.NUMBER, "PN1", drift)
    assert bool(finding.sentence) is (drift is not None)


def test_an_application_takes_the_place_of_the_number_s_url() -> None:
    theirs = find_sms(number(), URL, application=Application(sid="AP1", sms_url=THEIRS, sms_method="POST"))
    assert (theirs.holder, theirs.drift) == (Holder.APPLICATION, Drift.OVERRIDDEN_BY_APPLICATION)
    assert "SmsApplicationSid" in theirs.sentence
    assert "secret" not in theirs.sentence
    unset = find_sms(number(), URL, application=Application(sid="AP1"))
    assert unset.drift is Drift.OVERRIDDEN_BY_APPLICATION
    ours = find_sms(number(""), URL, application=Application(sid="AP1", sms_url=OURS, sms_method="POST"))
    assert ours.drift is None


def test_a_messaging_service_comes_first_unless_it_defers_to_the_number() -> None:
    service = MessagingService(sid="MG1", inbound_request_url=THEIRS, inbound_method="POST")
    theirs = find_sms(number(), URL, service=service)
    assert (theirs.holder, theirs.drift) == (Holder.SERVICE, Drift.OVERRIDDEN_BY_SERVICE)
    assert "use_inbound_webhook_on_number" in theirs.sentence
    deferring = service.model_copy(update={"use_inbound_webhook_on_number": True})
    assert find_sms(number(), URL, service=deferring).drift is None
    ours = MessagingService(sid="MG1", inbound_request_url=OURS, inbound_method="GET")
    assert find_sms(number(""), URL, service=ours).drift is Drift.OTHER_METHOD
    application = Application(sid="AP1", sms_url=THEIRS)
    assert find_sms(number(), URL, service=deferring, application=application).holder is Holder.APPLICATION


def test_a_sender_has_a_webhook_of_its_own_and_one_for_news() -> None:
    status = URL + "/status"
    webhook = SenderWebhook(callback_url=OURS, callback_method="POST", status_callback_url=status)
    sender = Sender(sid="XE1", webhook=webhook)
    assert find_whatsapp(sender, URL).drift is None
    assert find_whatsapp(sender, URL, status).drift is None
    assert find_whatsapp(sender, URL, URL + "/other").drift is Drift.OTHER_URL
    assert find_whatsapp(Sender(sid="XE1"), URL).drift is Drift.NOT_SET
    assert find_whatsapp(Sender(sid="XE1", webhook=SenderWebhook(callback_url=THEIRS)), URL).drift is Drift.OTHER_URL


def test_ours_is_ours_whatever_its_overrides_and_nobody_else_s_is() -> None:
    assert is_ours(OURS, URL)
    assert is_ours(URL + "#rc=0", URL)
    assert not is_ours("", URL)
    assert not is_ours(THEIRS, URL)
    assert not is_ours(OURS.replace("https://", "https://user@"), URL)


def test_of_a_url_only_the_host_is_shown() -> None:
    assert host_of(THEIRS) == "old.example.com"
    assert host_of("https://[::1") == ""
    assert host_of("") == ""
