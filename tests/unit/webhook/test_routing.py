"""What reaches the agent, and who is answered."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.webhook.fakes import connectors, manifest

from switchboard.api.agent import ConnectorRoute
from switchboard.providers.base import Channel, InboundMessage
from switchboard.webhook.routing import Line, Unrouted

OURS, ANN, BOB = "+15005550006", "+15005550001", "+15005550002"


def line(route: dict[str, object] | None = None, *, number: str | None = OURS, by_service: bool = False) -> Line:
    spec = ConnectorRoute.model_validate({"name": "sms", **(route or {})})
    return Line.of(spec, account="AC1", number=number, channels=["SMS", "WhatsApp"], by_service=by_service)


def message(**change: object) -> InboundMessage:
    values: dict[str, object] = {
        "provider": "twilio",
        "account": "AC1",
        "message_id": "SM1",
        "channel": Channel.SMS,
        "sender": ANN,
        "recipient": OURS,
        "body": "Hi",
        **change,
    }
    return InboundMessage(**values)  # type: ignore[arg-type]


def test_a_route_without_filters_takes_all_that_the_connector_receives() -> None:
    assert line().refuses(message()) is None
    assert line().refuses(message(channel=Channel.WHATSAPP)) is None


@pytest.mark.parametrize(
    ("route", "change", "why"),
    [
        ({}, {"account": "AC2"}, Unrouted.ACCOUNT),
        ({}, {"recipient": BOB}, Unrouted.NUMBER),
        ({}, {"sender": "12345"}, Unrouted.SENDER),
        ({}, {"sender": "ACME"}, Unrouted.SENDER),
        ({"inbound": {"fromNumber": BOB}}, {}, Unrouted.FROM),
        ({"inbound": {"fromNumber": ANN}}, {}, None),
        ({"inbound": {"toNumber": BOB}}, {}, Unrouted.TO),
        ({"inbound": {"toNumber": OURS}}, {}, None),
    ],
)
def test_what_a_route_does_not_take_is_named(
    route: dict[str, object], change: dict[str, object], why: Unrouted | None
) -> None:
    assert line(route).refuses(message(**change)) is why


def test_a_channel_that_the_connector_does_not_have_is_not_taken() -> None:
    sms = Line.of(ConnectorRoute(name="sms"), account="AC1", number=OURS, channels=["SMS"], by_service=False)
    assert sms.refuses(message(channel=Channel.WHATSAPP)) is Unrouted.CHANNEL


def test_a_messaging_service_holds_any_number_but_for_whatsapp() -> None:
    pool = line(number=None, by_service=True)
    assert pool.refuses(message(recipient=BOB)) is None
    assert pool.refuses(message(recipient="72345")) is None
    assert pool.refuses(message(recipient="+1500\0")) is Unrouted.NUMBER
    assert line(by_service=True).refuses(message(recipient=BOB, channel=Channel.WHATSAPP)) is Unrouted.NUMBER


def test_the_messaging_services_sid_never_decides() -> None:
    with_sid = message(parameters=[("MessagingServiceSid", "MG" + "0" * 32)])
    assert line().refuses(with_sid) is None


def test_the_answer_goes_to_the_sender_or_to_a_fixed_number() -> None:
    assert line().receiver(ANN) == ANN
    assert line({"outbound": {"useSenderAsReceiver": False, "toNumber": BOB}}).receiver(ANN) == BOB


@pytest.mark.parametrize(("status", "known"), [("True", True), ("False", False), ("Unknown", False)])
def test_twilio_has_our_webhook_only_where_the_condition_says_so(tmp_path: Path, status: str, known: bool) -> None:
    time = "2026-01-02T03:04:05Z"
    others = {"type": "Ready", "status": "True", "reason": "Connected", "message": "", "lastTransitionTime": time}
    ours = {**others, "type": "WebhookRegistered", "status": status}
    [connector] = connectors(tmp_path, manifest(status={"conditions": [others, ours]})).by_name.values()
    assert (connector.registered is not None) == known
