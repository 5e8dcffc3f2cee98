"""What strangers, engines and providers may say, in every field that takes text: it is kept, and does no harm."""

from __future__ import annotations

import pytest
from tests.integration.log.harness import CONTACT, NUMBER, World

from switchboard.api.conversation import ExecutionError, Step, Usage
from switchboard.log.records import Attachment, DeliveryNews, Outcome, Query, Reply
from switchboard.providers.base import DeliveryState

TEXTS = {
    "nul": "a\0b",
    "half a pair": "a\ud83db",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x85\u2028",
    "the separators of a commit": "\x1e\x1f\\N{},\"'\x1e",
    "not a character": "\uffff\ufffe\U0010ffff",
    "right to left": "\u202eabc\u202c\u200f",
    "a family of emoji": "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}\U0001f3fd" * 100,
    "escapes": "\\u0000 \\x00 %00 &#0; ${jndi:x} '; DROP TABLE switchboard_messages; --",
    "very long": "x" * 70_000,
    "blank": " \t\r\n ",
    "empty": "",
}


def plain(text: str) -> str:
    """Without what no store takes."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").replace("\ud83d", "?")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_whatever_stands_in_a_message_it_is_kept_and_answered(world: World, text: str) -> None:
    inbound = world.inbound(
        text,
        contact_name=text[:200] or None,
        attributes={"Known": text, text or "k": "v", "Address": text},
        media=[Attachment("https://api.twilio.com/1" + text.strip(), text or "image/png")],
        error=text or None,
    )
    recorded = await world.log.record(inbound)
    assert (await world.log.record(inbound)).duplicate
    await world.told("and a plain one")
    kept, other = await world.log.history(recorded.conversation)
    assert kept.body == plain(text)[:65_536]
    assert other.body == "and a plain one"
    turn = await world.claimed()
    assert [message.body for message in turn.messages] == [kept.body, other.body]
    assert (await world.log.conversation(recorded.conversation)) is not None
    (kept.body + "".join(kept.attributes.values()) + "".join(one.content_type for one in kept.media)).encode()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_whatever_an_engine_or_a_provider_says_it_is_kept_and_the_turn_ends(world: World, text: str) -> None:
    await world.told()
    turn = await world.claimed()
    said, kept = text or "x", plain(text) or "x"  # what is made of an engine's answer is text already
    outcome = Outcome(
        "Failed",
        engine="model",
        model=said[:200],
        usage=Usage(input_tokens=2**62, output_tokens=0),
        steps=[Step(kind="ToolCall", name=kept[:200], arguments=kept[:4000], result=kept[:4000])],
        error=ExecutionError(kind=kept[:100], message=kept[:1000]),
        trace_id="0123456789abcdef",
    )
    await world.log.retry(turn, outcome, at=await world.now())
    await world.advance(1)
    turn = await world.claimed()
    turn = await world.log.finish(turn, outcome, [Reply(NUMBER, CONTACT, said), Reply(NUMBER, CONTACT, "second")])
    first, second = turn.outbound
    assert first.body == kept[:65_536]
    attempt = await world.log.begin_attempt(turn, first, seconds=10)
    await world.log.refuse(turn, attempt, code=21610, error=said)
    attempt = await world.log.begin_attempt(turn, second, seconds=10)
    await world.log.confirm(turn, attempt, "SM1", DeliveryState.QUEUED)
    news = DeliveryNews("SM1", DeliveryState.FAILED, attempt.id, 2**31 - 1, said)
    assert await world.log.deliver(news) == "Applied"
    await world.log.release(turn)
    assert (await world.one(second.name)).error_code == 2**31 - 1
    ended = await world.log.execution(turn.execution.name)
    assert ended is not None
    assert ended.state == "Failed"
    assert len((await world.log.executions(Query())).items) == 1


async def test_a_messaging_services_short_code_is_a_recipient_like_any_other(world: World) -> None:
    assert (await world.log.record(world.inbound("to a short code", recipient="12345"))).stored
