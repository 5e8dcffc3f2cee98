"""Requests: what is let through, what is recorded, and what Twilio is told."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import RawTestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.webhook.fakes import (
    ANN,
    BOB,
    OURS,
    PATH,
    PUBLIC,
    TOKEN,
    Notebook,
    Post,
    connectors,
    manifest,
    parameters,
    post,
    write_secret,
)

from switchboard.api.access import AccessRequest
from switchboard.kube.errors import Unavailable
from switchboard.log.errors import LogFull, LogUnavailable
from switchboard.log.protocol import ConversationLog
from switchboard.providers.base import DeliveryState
from switchboard.webhook import receiving
from switchboard.webhook.connectors import Connector, Connectors
from switchboard.webhook.intake import BOT, RATE, Desk, Taken
from switchboard.webhook.limits import RateLimiter
from switchboard.webhook.receiving import Receiver
from switchboard.webhook.requests import Decisions

EMPTY = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'


@dataclass
class Front:
    """A receiver that listens."""

    log: Notebook
    connectors: Connectors
    decisions: Decisions
    receiver: Receiver
    url: str
    session: aiohttp.ClientSession
    asked: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    async def send(self, request: Post, method: str = "POST") -> aiohttp.ClientResponse:
        response = await self.session.request(
            method, self.url + request.path, data=request.body, headers=request.headers
        )
        await response.read()
        return response


Opening = Callable[..., Awaitable[Front]]


@pytest_asyncio.fixture
async def open_front(tmp_path: Path) -> AsyncIterator[Opening]:
    cleanups: list[Callable[[], Awaitable[None]]] = []

    async def opened(*, burst: int = 20, **spec: Any) -> Front:
        log, decisions, asked = Notebook(), Decisions(), list[str]()
        built = connectors(tmp_path, manifest(**spec))
        typed = cast("ConversationLog", log)
        desk = Desk(typed, built, decisions, RateLimiter(burst=burst, per_second=0.001))

        async def ask(connector: Connector, message: Any, taken: Taken) -> None:
            asked.append(message.sender)
            if decisions.pending("broken"):
                raise Unavailable("gone")

        receiver = Receiver(built, desk, typed, ask)
        server = RawTestServer(cast("Any", receiver.handle))
        await server.start_server()
        session = aiohttp.ClientSession()
        cleanups.extend([session.close, server.close])
        front = Front(log, built, decisions, receiver, str(server.make_url("")).rstrip("/"), session, asked)
        receiver.on_doubt = front.doubts.append
        return front

    yield opened
    for cleanup in cleanups:
        await cleanup()


@pytest_asyncio.fixture
async def front(open_front: Opening) -> Front:
    return await open_front()


async def test_a_signed_message_is_recorded_and_answered_with_empty_twiml(front: Front) -> None:
    response = await front.send(post(parameters(Body="Hello 👋", Some="thing", ProfileName="Ann")))
    assert (response.status, response.content_type) == (200, "text/xml")
    assert await response.read() == EMPTY
    [inbound] = front.log.inbound
    assert (inbound.contact, inbound.recipient, inbound.body, inbound.state) == (ANN, OURS, "Hello 👋", "Waiting")
    assert inbound.attributes["Some"] == "thing"
    assert inbound.contact_name == "Ann"


async def test_a_repeated_message_is_answered_alike_and_recorded_once(front: Front) -> None:
    statuses = [(await front.send(post(parameters()))).status for _ in range(3)]
    assert statuses == [200, 200, 200]
    assert len(front.log.inbound) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"token": "another"},
        {"url": "https://evil.example.com" + PATH},
        {"X_Twilio_Signature": "AAAA"},
        {"X_Twilio_Signature": "é"},
        {"X_Twilio_Webhooks_Signature_Settings": "algorithm=NONE"},
    ],
)
async def test_a_wrong_signature_is_refused(front: Front, change: dict[str, str]) -> None:
    response = await front.send(post(parameters(), **change))  # type: ignore[arg-type]
    assert response.status == 403
    assert front.log.inbound == []
    assert front.doubts == ["sms"]


async def test_a_missing_signature_is_refused(front: Front) -> None:
    request = post(parameters())
    del request.headers["X-Twilio-Signature"]
    assert (await front.send(request)).status == 403


async def test_the_requests_own_host_and_forwarded_headers_prove_nothing(front: Front) -> None:
    forged = post(
        parameters(),
        url="https://evil.example.com" + PATH,
        Host="evil.example.com",
        X_Forwarded_Host="evil.example.com",
        X_Forwarded_Proto="https",
    )
    assert (await front.send(forged)).status == 403
    honest = post(parameters(), Host="10.0.0.7:8080", X_Forwarded_Host="evil.example.com")
    assert (await front.send(honest)).status == 200


async def test_a_changed_parameter_breaks_the_signature(front: Front) -> None:
    request = post(parameters())
    forged = Post(request.path, request.body.replace(b"Hello", b"Pay"), request.headers)
    assert (await front.send(forged)).status == 403


async def test_both_tokens_count_during_a_rotation_and_new_files_are_read_at_once(front: Front, tmp_path: Path) -> None:
    write_secret(tmp_path, authToken="token-two", previousAuthToken=TOKEN)
    one = await front.send(post(parameters(MessageSid="SM1"), token="token-two"))
    two = await front.send(post(parameters(MessageSid="SM2"), token=TOKEN))
    assert (one.status, two.status) == (200, 200)
    assert front.doubts == []


async def test_a_burst_in_the_middle_of_a_rotation_is_taken_and_the_files_are_read_once(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_secret(tmp_path, authToken="token-two", previousAuthToken=TOKEN)
    refresh, read = front.connectors.refresh, list[bool]()
    monkeypatch.setattr(front.connectors, "refresh", lambda: read.append(refresh()))
    tokens = [TOKEN, "token-two"] * 20
    given = [post(parameters(MessageSid=f"SM{number}"), token=token) for number, token in enumerate(tokens)]
    forged = [post(parameters(MessageSid=f"SM9{number}"), token="guess") for number in range(20)]
    answers = await asyncio.gather(*map(front.send, [*given, *forged]))
    assert [answer.status for answer in answers] == [200] * 40 + [403] * 20
    assert len(front.log.inbound) == 40
    assert read[0]
    assert len(read) <= 2  # a slow machine may take more than a second for it


@pytest.mark.parametrize("charset", ["", "; charset=iso-8859-1", "; charset=utf-16", "; charset=nonsense", ";;=,"])
async def test_a_body_is_utf_8_whatever_its_type_calls_it(front: Front, charset: str) -> None:
    given = post(parameters(Body="café 👩‍👩‍👧", MessageSid="SM1"))
    given.headers["Content-Type"] = f"application/x-www-form-urlencoded{charset}"
    assert (await front.send(given)).status == 200
    assert [one.body for one in front.log.inbound] == ["café 👩‍👩‍👧"]
    other = Post(given.path, given.body.replace(b"%C3%A9", b"%E9"), given.headers)
    assert (await front.send(other)).status == 403


@pytest.mark.parametrize(
    "number", ["99999999999999999999", "-1", "1e400", "NaN", "9223372036854775808", "٣", " 1", "0x10"]
)
async def test_numbers_that_fit_no_integer_or_are_none_do_no_harm(front: Front, number: str) -> None:
    fields = dict.fromkeys(("NumMedia", "NumSegments", "Latitude", "Longitude"), number)
    given = parameters(**fields, From=f"whatsapp:{ANN}", To=f"whatsapp:{OURS}", MediaUrl0="https://api.twilio.com/1")
    assert (await front.send(post(given))).status == 200
    news = parameters(MessageStatus="failed", ErrorCode=number, Body="-")
    assert (await front.send(post(news, path=PATH + "/status/c-1-1-1.1"))).status == 200
    [inbound], [told] = front.log.inbound, front.log.news
    assert inbound.attributes["NumSegments"] == number
    assert told.error_code is None or 0 < told.error_code < 2**31


async def test_a_signed_text_that_is_cut_elsewhere_makes_no_second_message(front: Front) -> None:
    first = post(parameters())
    await front.send(first)
    shifted = parameters(MessageSid=parameters()["MessageSid"] + "NumMedia0", NumMedia="-")
    again = post(shifted)
    assert again.headers["X-Twilio-Signature"] == first.headers["X-Twilio-Signature"]
    assert (await front.send(again)).status == 400
    assert len(front.log.inbound) == 1


async def test_another_accounts_message_is_refused_though_it_is_signed(front: Front) -> None:
    response = await front.send(post(parameters(AccountSid="AC" + "b" * 32)))
    assert response.status == 403
    assert front.log.inbound == []


@pytest.mark.parametrize("path", ["/", "/twilio/acme/other", "/twilio/other/sms", PATH + "/", PATH + "?x=1"])
async def test_what_is_no_connectors_path_is_not_found(front: Front, path: str) -> None:
    assert (await front.send(post(parameters(), path=path))).status == 404


async def test_a_connector_that_cannot_be_served_yet_asks_twilio_to_try_again(front: Front) -> None:
    front.connectors.remove("sms")
    assert (await front.send(post(parameters()))).status == 503


async def test_before_all_is_known_twilio_is_asked_to_try_again(front: Front) -> None:
    front.receiver.accepting = lambda: False
    assert (await front.send(post(parameters()))).status == 503
    assert front.log.inbound == []


async def test_only_forms_are_taken_and_only_by_post(front: Front) -> None:
    as_json = post(parameters(), Content_Type="application/json")
    assert (await front.send(as_json)).status == 415
    packed = post(parameters(), Content_Encoding="gzip")
    assert (await front.send(Post(packed.path, gzip.compress(packed.body), packed.headers))).status == 415
    assert (await front.send(post(parameters()), method="GET")).status == 405


async def test_a_large_body_is_refused_before_it_is_read_and_many_parameters_after(front: Front) -> None:
    large = post(parameters(Body="x" * 70_000))
    assert (await front.send(large)).status == 413
    many = post(parameters(**{f"P{number}": "x" for number in range(1000)}))
    assert (await front.send(many)).status == 400
    assert front.log.inbound == []


@pytest.mark.parametrize("name", ["MessageSid", "AccountSid", "From", "To"])
async def test_a_signed_message_without_a_needed_parameter_is_a_bad_request(front: Front, name: str) -> None:
    assert (await front.send(post(parameters(**{name: "-"})))).status in {400, 403}
    assert front.log.inbound == []


@pytest.mark.parametrize(
    "change",
    [
        {"To": BOB},
        {"From": "12345"},
        {"From": f"{ANN}\n"},
        {"From": "messenger:1", "To": "messenger:2"},
        {"From": "rcs:agent", "To": OURS},
    ],
)
async def test_what_no_route_takes_is_not_recorded_and_twilio_is_told_that_all_is_well(
    front: Front, change: dict[str, str]
) -> None:
    response = await front.send(post(parameters(**change)))
    assert (response.status, await response.read()) == (200, EMPTY)
    assert front.log.inbound == []


@pytest.mark.parametrize("error", [LogUnavailable("away"), LogFull("full")])
async def test_what_is_not_durable_is_not_acknowledged(front: Front, error: Exception) -> None:
    front.log.error = cast("Any", error)
    assert (await front.send(post(parameters()))).status == 503
    assert front.doubts == ["sms"]


async def test_a_stop_is_kept_and_not_answered(front: Front) -> None:
    await front.send(post(parameters(Body=" stop ")))
    [inbound] = front.log.inbound
    assert (inbound.keyword, inbound.state) == ("Stop", "Ignored")


@pytest.mark.parametrize(
    ("said", "keyword", "state"),
    [("STOP", "Stop", "Ignored"), ("START", "Start", "Waiting"), ("HELP", None, "Waiting")],
)
async def test_what_advanced_opt_out_says_counts_whatever_the_words(
    front: Front, said: str, keyword: str | None, state: str
) -> None:
    await front.send(post(parameters(Body="nein danke", OptOutType=said)))
    [inbound] = front.log.inbound
    assert (inbound.keyword, inbound.state, inbound.keyword_confirmed) == (keyword, state, True)
    assert inbound.attributes["OptOutType"] == said


async def test_who_takes_too_long_for_a_body_is_told_so_and_holds_up_nobody(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "BODY_SECONDS", 0.05)
    request = post(parameters())

    async def dripping() -> AsyncIterator[bytes]:
        yield request.body[:10]
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        sending = asyncio.create_task(
            front.session.post(front.url + request.path, data=dripping(), headers=request.headers)
        )
        assert (await front.send(post(parameters(MessageSid="SM2")))).status == 200
        assert (await sending).status == 408
    assert [one.message_id for one in front.log.inbound] == ["SM2"]


@pytest.mark.parametrize(("token", "status"), [(TOKEN, 200), ("guess", 403)])
async def test_a_connector_that_goes_while_a_body_comes_is_no_failure(
    front: Front, monkeypatch: pytest.MonkeyPatch, token: str, status: int
) -> None:
    read = receiving._body

    async def reading(request: Any) -> bytes:
        front.connectors.remove("sms")
        return await read(request)

    monkeypatch.setattr(receiving, "_body", reading)
    assert (await front.send(post(parameters(), token=token))).status == status


async def test_a_start_is_the_logs_to_weigh_and_help_is_a_message_like_any_other(front: Front) -> None:
    await front.send(post(parameters(Body="Yes", MessageSid="SM1")))
    await front.send(post(parameters(Body="HELP", MessageSid="SM2")))
    yes, help_ = front.log.inbound
    assert (yes.keyword, yes.keyword_confirmed, yes.state) == ("Start", False, "Waiting")
    assert (help_.keyword, help_.state) == (None, "Waiting")


async def test_whatsapp_has_no_stop_word(front: Front) -> None:
    await front.send(post(parameters(From=f"whatsapp:{ANN}", To=f"whatsapp:{OURS}", Body="STOP")))
    [inbound] = front.log.inbound
    assert (inbound.channel, inbound.keyword, inbound.state) == ("WhatsApp", None, "Waiting")


async def test_another_connectors_number_is_never_answered(open_front: Opening) -> None:
    front = await open_front()
    front.connectors.put(manifest("other", fromNumber=BOB))
    await front.send(post(parameters(From=BOB)))
    [inbound] = front.log.inbound
    assert (inbound.state, inbound.error) == ("Ignored", BOT)


async def test_who_writes_too_fast_is_kept_and_not_answered(open_front: Opening) -> None:
    front = await open_front(burst=2)
    for number in range(4):
        await front.send(post(parameters(MessageSid=f"SM{number}")))
    await front.send(post(parameters(MessageSid="SM9", From=BOB)))
    assert [inbound.state for inbound in front.log.inbound] == ["Waiting", "Waiting", "Ignored", "Ignored", "Waiting"]
    assert front.log.inbound[2].error == RATE


async def test_a_denied_contact_is_refused_and_a_stranger_held_while_somebody_is_asked(open_front: Opening) -> None:
    front = await open_front(access={"policy": "Onboarding", "deny": [BOB]})
    await front.send(post(parameters(MessageSid="SM1", From=BOB, Body="STOP")))
    await front.send(post(parameters(MessageSid="SM2", From=ANN)))
    assert [inbound.state for inbound in front.log.inbound] == ["Refused", "Held"]
    assert front.asked == [ANN]


async def test_strangers_beyond_what_people_are_asked_for_fill_no_log(open_front: Opening) -> None:
    front = await open_front(access={"policy": "Onboarding", "maxPending": 1})
    known = {"metadata": {"name": "x"}, "spec": {"connector": "sms", "contact": BOB}}
    front.decisions.put(AccessRequest.model_validate(known))
    assert (await front.send(post(parameters(MessageSid="SM1", From=ANN)))).status == 200
    await front.send(post(parameters(MessageSid="SM2", From=BOB)))
    assert [(inbound.contact, inbound.state) for inbound in front.log.inbound] == [(ANN, "Refused"), (BOB, "Held")]
    assert front.asked == [BOB]


async def test_a_stranger_of_whom_nobody_was_told_writes_again(open_front: Opening) -> None:
    front = await open_front(access={"policy": "Onboarding"})
    broken = {"metadata": {"name": "x"}, "spec": {"connector": "broken", "contact": ANN}}
    front.decisions.put(AccessRequest.model_validate(broken))
    assert (await front.send(post(parameters()))).status == 503


async def test_news_of_a_reply_goes_to_its_attempt(front: Front) -> None:
    path = PATH + "/status/c-1-1-1.2"
    given = parameters(MessageStatus="undelivered", ErrorCode="30003", Body="-")
    assert (await front.send(post(given, path=path))).status == 200
    [news] = front.log.news
    assert (news.attempt, news.state, news.error_code) == ("c-1-1-1.2", DeliveryState.UNDELIVERED, 30003)
    assert news.connector == "sms"


async def test_news_signed_for_another_attempt_or_account_is_refused(front: Front) -> None:
    given = parameters(MessageStatus="delivered")
    other = post(given, path=PATH + "/status/a.1", url=PUBLIC + PATH + "/status/b.1")
    assert (await front.send(other)).status == 403
    foreign = post(parameters(MessageStatus="delivered", AccountSid="AC" + "b" * 32), path=PATH + "/status/a.1")
    assert (await front.send(foreign)).status == 403
    assert front.log.news == []


async def test_news_in_a_word_that_is_not_known_is_no_failure_and_news_that_cannot_be_kept_is(front: Front) -> None:
    path = PATH + "/status/a.1"
    assert (await front.send(post(parameters(MessageStatus="teleported"), path=path))).status == 200
    front.log.error = LogUnavailable("away")
    assert (await front.send(post(parameters(MessageStatus="sent"), path=path))).status == 503


async def test_the_public_urls_own_path_may_be_there_or_cut_off(tmp_path: Path, open_front: Opening) -> None:
    front = await open_front(publicURL=PUBLIC + "/base/")
    url = PUBLIC + "/base" + PATH
    assert (await front.send(post(parameters(), path="/base" + PATH, url=url))).status == 200
    assert (await front.send(post(parameters(), path=PATH, url=url))).status == 200


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=600), signature=st.binary(max_size=60))
async def test_no_body_and_no_signature_breaks_the_receiver(front: Front, body: bytes, signature: bytes) -> None:
    text = signature.hex()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": text}
    assert (await front.send(Post(PATH, body, headers))).status in {400, 403}
