"""What Twilio posts becomes a message or news of one, and nothing it adds makes that fail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.providers.base import Button, Channel, DeliveryState, Keyword, Location, Media, Quote
from switchboard.providers.errors import InvalidWebhookError
from switchboard.providers.twilio.inbound import (
    delivery_state,
    format_address,
    parse_address,
    parse_delivery,
    parse_message,
)

ACCOUNT = "AC" + "a" * 32
SID = "SM" + "b" * 32
SMS = {
    "ToCountry": "US",
    "SmsMessageSid": SID,
    "NumMedia": "0",
    "FromCity": "",
    "Body": "Hello",
    "To": "+15005550006",
    "NumSegments": "1",
    "MessageSid": SID,
    "AccountSid": ACCOUNT,
    "From": "+15550001111",
    "ApiVersion": "2010-04-01",
}
WHATSAPP = SMS | {"From": "whatsapp:+15550001111", "To": "whatsapp:+15005550006", "ProfileName": "Ada", "WaId": "1555"}


def pairs(parameters: dict[str, str], **more: str) -> list[tuple[str, str]]:
    return list((parameters | more).items())


def test_a_text_is_read_and_every_parameter_is_kept() -> None:
    given_ = pairs(SMS, NewThing="x")
    message = parse_message(given_)
    assert (message.provider, message.account, message.message_id) == ("twilio", ACCOUNT, SID)
    assert (message.channel, message.sender, message.recipient) == (Channel.SMS, "+15550001111", "+15005550006")
    assert message.body == "Hello"
    assert message.parameters == given_
    assert message.media == []
    assert message.keyword is None


def test_an_empty_body_and_a_short_code_are_a_message_too() -> None:
    message = parse_message(pairs(SMS, Body="", From="12345"))
    assert (message.body, message.sender) == ("", "12345")


def test_pictures_are_listed_with_their_types() -> None:
    message = parse_message(
        pairs(
            SMS,
            NumMedia="2",
            MediaUrl0="https://api.twilio.com/1",
            MediaContentType0="image/png",
            MediaUrl1="https://api.twilio.com/2",
        )
    )
    assert message.media == [
        Media("https://api.twilio.com/1", "image/png"),
        Media("https://api.twilio.com/2", "application/octet-stream"),
    ]


@pytest.mark.parametrize("count", ["1000000", "x", "-1", ""])
def test_a_wrong_number_of_pictures_is_no_matter(count: str) -> None:
    assert len(parse_message(pairs(SMS, NumMedia=count, MediaUrl0="https://api.twilio.com/1")).media) == 1


def test_a_whatsapp_message_brings_name_place_button_and_quote() -> None:
    message = parse_message(
        pairs(
            WHATSAPP,
            Latitude="48.2",
            Longitude="16.37",
            Address="Ring 1",
            Label="Office",
            ButtonText="Yes",
            ButtonPayload="yes-1",
            OriginalRepliedMessageSid="SM" + "c" * 32,
            OriginalRepliedMessageSender="whatsapp:+15005550006",
            FrequentlyForwarded="true",
        )
    )
    assert (message.channel, message.sender, message.recipient) == (Channel.WHATSAPP, "+15550001111", "+15005550006")
    assert message.contact_name == "Ada"
    assert message.location == Location(48.2, 16.37, "Ring 1", "Office")
    assert message.button == Button("Yes", "yes-1")
    assert message.reply_to == Quote("SM" + "c" * 32, "+15005550006")
    assert message.forwarded


@pytest.mark.parametrize("latitude", ["", "north", "91", "nan", "inf"])
def test_a_place_that_is_none_is_left_out(latitude: str) -> None:
    assert parse_message(pairs(WHATSAPP, Latitude=latitude, Longitude="1")).location is None


@pytest.mark.parametrize("missing", ["MessageSid", "AccountSid", "From", "To"])
def test_what_is_missing_is_named(missing: str) -> None:
    parameters = {name: value for name, value in SMS.items() if name not in {missing, "SmsMessageSid"}}
    with pytest.raises(InvalidWebhookError, match=missing):
        parse_message(pairs(parameters))


def test_another_channel_is_refused_by_name() -> None:
    with pytest.raises(InvalidWebhookError, match="From: the channel 'messenger'"):
        parse_message(pairs(SMS, From="messenger:123"))


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=40)), max_size=12))
def test_no_parameters_raise_anything_but_the_one_error(more: list[tuple[str, str]]) -> None:
    known = pairs(WHATSAPP)
    required = {"MessageSid", "AccountSid", "From", "To"}
    message = parse_message(known + [pair for pair in more if pair[0] not in required])
    assert message.message_id == SID
    for parse in (parse_message, parse_delivery):
        try:
            parse(more)
        except InvalidWebhookError as error:
            assert "parameter" in str(error)  # noqa: PT017 - either outcome is right


WORDS = [
    ("STOP", Keyword.STOP),
    (" stop \n", Keyword.STOP),
    ("StopAll", Keyword.STOP),
    ("unsubscribe", Keyword.STOP),
    ("CANCEL", Keyword.STOP),
    ("END", Keyword.STOP),
    ("QUIT", Keyword.STOP),
    ("REVOKE", Keyword.STOP),
    ("OPTOUT", Keyword.STOP),
    ("start", Keyword.START),
    ("Yes", Keyword.START),
    ("UNSTOP", Keyword.START),
    ("help", Keyword.HELP),
    ("INFO", Keyword.HELP),
    ("please stop", None),
    ("stop.", None),
    ("", None),
]


@pytest.mark.parametrize(("body", "keyword"), WORDS)
def test_single_words_have_a_meaning_on_sms_and_none_on_whatsapp(body: str, keyword: Keyword | None) -> None:
    message = parse_message(pairs(SMS, Body=body))
    assert message.keyword is keyword
    assert not message.keyword_confirmed
    assert parse_message(pairs(WHATSAPP, Body=body)).keyword is None


def test_what_twilio_says_of_an_opt_out_counts_before_the_word() -> None:
    message = parse_message(pairs(SMS, Body="nein danke", OptOutType="STOP"))
    assert message.keyword is Keyword.STOP
    assert message.keyword_confirmed
    odd = parse_message(pairs(SMS, Body="STOP", OptOutType="???"))
    assert odd.keyword is Keyword.STOP


def test_news_of_a_failure_brings_its_code_and_what_it_means() -> None:
    news = parse_delivery([("MessageSid", SID), ("MessageStatus", "undelivered"), ("ErrorCode", "30003")])
    assert news is not None
    assert (news.message_id, news.state, news.error_code) == (SID, DeliveryState.UNDELIVERED, 30003)
    assert "phone is off" in news.error


@pytest.mark.parametrize("code", ["", "x", "-3", "\u0663", "9" * 400])
def test_a_code_that_is_none_is_left_out(code: str) -> None:
    news = parse_delivery([("MessageSid", SID), ("MessageStatus", "failed"), ("ErrorCode", code)])
    assert news is not None
    assert news.error_code is None


def test_a_read_receipt_is_news_whatever_the_status_says() -> None:
    news = parse_delivery([("MessageSid", SID), ("MessageStatus", "delivered"), ("EventType", "READ")])
    assert news is not None
    assert news.state is DeliveryState.READ


def test_a_status_that_is_not_known_is_no_failure_and_no_news() -> None:
    assert parse_delivery([("MessageSid", SID), ("MessageStatus", "teleported")]) is None
    for missing, parameters in (("MessageSid", [("MessageStatus", "sent")]), ("MessageStatus", [("MessageSid", SID)])):
        with pytest.raises(InvalidWebhookError, match=missing):
            parse_delivery(parameters)


def test_news_is_applied_by_rank_and_never_backwards() -> None:
    order = ["accepted", "sending", "sent", "delivered", "read"]
    states = [delivery_state(status) for status in order]
    for earlier, known in enumerate(states):
        for later, state in enumerate(states):
            assert state is not None
            assert state.supersedes(known) is (later > earlier)
    assert not DeliveryState.DELIVERED.supersedes(DeliveryState.FAILED)
    assert DeliveryState.QUEUED.supersedes(None)
    assert DeliveryState.FAILED.final
    assert DeliveryState.FAILED.failed
    assert not DeliveryState.SENT.final


@pytest.mark.parametrize("channel", list(Channel))
def test_an_address_survives_its_channel_s_prefix(channel: Channel) -> None:
    assert parse_address(format_address(channel, "+15550001111")) == (channel, "+15550001111")
