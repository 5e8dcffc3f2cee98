"""A webhook that fails is called again as its URL's fragment asks, and then at the fallback URL."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from tests.unit.sandbox.twilio.conftest import EMPTY, NUMBER, PERSON, Hook, Stage

from switchboard.sandbox.twilio.control_models import Settings
from switchboard.sandbox.twilio.webhooks import Overrides

OURS = "#ct=2000&rt=3000&rc=5&rp=ct,rt,5xx"


async def register(stage: Stage, fragment: str = "", **fields: object) -> None:
    number = stage.account.numbers[0].sid
    await stage.control.click(stage.account.sid, "numbers", number, sms_url=f"{stage.hook.url}/sms{fragment}", **fields)


def fail_first(hook: Hook, times: int, answer: web.Response | None) -> None:
    def answering(before: int) -> web.Response | None:
        return answer if before < times else web.Response(text=EMPTY, content_type="text/xml")

    hook.answer = answering


@pytest.mark.parametrize(
    ("fragment", "attempts"),
    [("", 1), ("#rc=5", 1), ("#rp=5xx", 2), ("#rc=3&rp=5xx", 4), (OURS, 6), ("#rc=9&rp=all", 2)],
)
async def test_a_5xx_is_tried_again_only_where_asked(stage: Stage, fragment: str, attempts: int) -> None:
    await register(stage, fragment)
    stage.hook.answer = lambda before: web.Response(status=503)
    result = await stage.control.text(PERSON, NUMBER, wait=True)
    assert [call.attempt for call in result.calls] == list(range(1, attempts + 1))
    assert len(stage.hook.received) == attempts


async def test_a_dropped_connection_is_tried_again_with_the_same_idempotency_token(stage: Stage) -> None:
    await register(stage, OURS)
    fail_first(stage.hook, 2, None)
    result = await stage.control.text(PERSON, NUMBER, wait=True)
    assert [(call.status, call.failure) for call in result.calls] == [(None, "rt"), (None, "rt"), (200, "")]
    tokens = {got.headers["I-Twilio-Idempotency-Token"] for got in stage.hook.received}
    assert len(tokens) == 1
    await stage.control.text(PERSON, NUMBER, wait=True)
    assert stage.hook.received[-1].headers["I-Twilio-Idempotency-Token"] not in tokens
    assert await stage.control.alerts() == []


async def test_nobody_listening_is_tried_again_by_default(stage: Stage) -> None:
    number = stage.account.numbers[0].sid
    await stage.control.click(stage.account.sid, "numbers", number, sms_url="http://127.0.0.1:1/x")
    result = await stage.control.text(PERSON, NUMBER, wait=True)
    assert [call.failure for call in result.calls] == ["ct", "ct"]


@pytest.fixture
async def hanging(stage: Stage) -> AsyncIterator[str]:
    """A webhook that never answers."""
    never = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/hang", hang)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hang"
    never.set()
    await runner.cleanup()


async def test_a_webhook_that_hangs_is_given_up_after_its_read_time_and_tried_again(stage: Stage, hanging: str) -> None:
    number = stage.account.numbers[0].sid
    await stage.control.click(stage.account.sid, "numbers", number, sms_url=f"{hanging}#rt=100&rc=2&rp=rt")
    result = await stage.control.text(PERSON, NUMBER, wait=True)
    assert [(call.attempt, call.failure) for call in result.calls] == [(1, "rt"), (2, "rt"), (3, "rt")]


async def test_without_a_read_time_no_time_is_left_to_try_again(stage: Stage, hanging: str) -> None:
    number = stage.account.numbers[0].sid
    await stage.control.settings(Settings(webhook_seconds=0.2))
    await stage.control.click(stage.account.sid, "numbers", number, sms_url=f"{hanging}#rc=5&rp=ct,rt")
    result = await stage.control.text(PERSON, NUMBER, wait=True)
    assert [call.failure for call in result.calls] == ["rt"]


async def test_after_a_failure_the_fallback_is_called_and_told_why(stage: Stage) -> None:
    await register(stage, sms_fallback_url=f"{stage.hook.url}/fallback")
    fail_first(stage.hook, 1, web.Response(status=500))
    result = await stage.control.text(PERSON, NUMBER, "x", wait=True)
    assert [call.kind for call in result.calls] == ["message", "fallback"]
    got = stage.hook.received[1]
    assert (got.path, got.parameters["ErrorCode"], got.parameters["Body"]) == ("/fallback", "11200", "x")
    assert got.parameters["ErrorUrl"] == f"{stage.hook.url}/sms"
    assert stage.hook.signed(stage.account.auth_token)
    assert [alert.code for alert in await stage.control.alerts()] == [11200]


async def test_without_a_fallback_the_text_is_lost_to_the_webhook_and_kept_in_the_list(stage: Stage) -> None:
    fail_first(stage.hook, 99, web.Response(status=500))
    sid = (await stage.control.text(PERSON, NUMBER, wait=True)).message_sid
    assert [message.sid for message in await stage.control.messages()] == [sid]


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("", Overrides()),
        (OURS, Overrides(2.0, 3.0, 15.0, 5, frozenset({"ct", "rt", "5xx"}))),
        ("#rp=all", Overrides(policy=frozenset({"ct", "rt", "4xx", "5xx"}))),
        ("#ct=1&rt=99999&rc=6", Overrides()),
        ("#ct=x&rc=-1", Overrides()),
        ("#tt=5000", Overrides(total=5.0)),
    ],
)
def test_a_fragment_is_read_within_its_ranges(fragment: str, expected: Overrides) -> None:
    assert Overrides.parse(f"https://hooks.example.com/x{fragment}", 15.0) == expected
