"""Answers are split at the channel's limit, on words, in order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.providers.base import Channel, OutboundMessage
from switchboard.providers.twilio.outbound import message_form, split_text, units

words = st.text(st.characters(categories=("L", "N", "So", "Mn")), min_size=1, max_size=30)
answers = st.lists(st.tuples(words, st.sampled_from([" ", "\n", "  ", "\t"])), max_size=40).map(
    lambda parts: "".join(word + space for word, space in parts)
)


@settings(max_examples=400)
@given(text=answers, limit=st.integers(min_value=20, max_value=120))
def test_no_part_is_over_the_limit_and_nothing_but_white_space_is_lost(text: str, limit: int) -> None:
    parts = split_text(text, limit=limit, max_parts=1000)
    assert all(0 < units(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


@settings(max_examples=200)
@given(text=answers, limit=st.integers(min_value=24, max_value=60), most=st.integers(min_value=1, max_value=4))
def test_more_than_the_bound_ends_with_a_note(text: str, limit: int, most: int) -> None:
    parts = split_text(text, limit=limit, max_parts=most, note=" [cut]")
    whole = split_text(text, limit=limit, max_parts=999)
    assert len(parts) <= most
    assert all(units(part) <= limit for part in parts)
    if len(whole) > most:
        assert parts[-1].endswith(" [cut]")
    else:
        assert parts == whole


def test_a_cut_is_between_words() -> None:
    assert split_text("one two three four five", limit=20) == ["one two three four", "five"]


def test_what_fits_is_one_part_and_what_is_blank_is_none() -> None:
    assert split_text("a" * 1600) == ["a" * 1600]
    assert [len(part) for part in split_text("a" * 1601)] == [1600, 1]
    assert split_text("  \n ") == []


def test_an_emoji_counts_as_two_and_is_not_cut() -> None:
    assert units("👋a") == 3
    parts = split_text("👋" * 20, limit=31)
    assert parts == ["👋" * 15, "👋" * 5]


@pytest.mark.parametrize("seen_as_one", ["👩‍👩‍👧", "👍🏽", "❤️", "🇦🇹", "e\u0301\u0308"])
def test_what_is_seen_as_one_character_is_not_cut(seen_as_one: str) -> None:
    for lead in range(12):
        parts = split_text("x" * lead + seen_as_one * 20, limit=24, max_parts=99)
        assert len(parts) > 1
        rest = ["".join(parts).replace("x", "")]
        assert rest == [seen_as_one * 20]
        for part in parts:
            assert part.replace("x", "") == seen_as_one * (len(part.replace("x", "")) // len(seen_as_one))


def test_a_bound_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="max_parts"):
        split_text("x", limit=10)
    with pytest.raises(ValueError, match="max_parts"):
        split_text("x", max_parts=0)


def test_a_form_names_addresses_in_their_channel() -> None:
    form = message_form(
        OutboundMessage(
            Channel.WHATSAPP,
            "+15550001111",
            "Hi",
            sender="+15005550006",
            media_urls=["https://x/1"],
            status_callback="https://x/s",
        )
    )
    assert form == {
        "To": "whatsapp:+15550001111",
        "From": "whatsapp:+15005550006",
        "Body": "Hi",
        "MediaUrl": ["https://x/1"],
        "StatusCallback": "https://x/s",
    }
    service = message_form(OutboundMessage(Channel.SMS, "+15550001111", "Hi", service="MG1"))
    assert service == {"To": "+15550001111", "MessagingServiceSid": "MG1", "Body": "Hi"}


@pytest.mark.parametrize(
    "message",
    [
        OutboundMessage(Channel.SMS, "", "Hi", sender="+1"),
        OutboundMessage(Channel.SMS, "+1", "Hi"),
        OutboundMessage(Channel.SMS, "+1", "", sender="+1"),
    ],
)
def test_a_message_that_lacks_something_is_refused(message: OutboundMessage) -> None:
    with pytest.raises(ValueError, match="a message needs"):
        message_form(message)
