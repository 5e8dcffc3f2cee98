"""What goes wrong is told by what may be done next: mend it, wait, or find out."""

import logging

import pytest
from tests.unit.providers.conftest import NUMBER, PERSON, Line

from switchboard.providers.base import Channel, OutboundMessage
from switchboard.providers.errors import (
    AccountUnusableError,
    CredentialsError,
    NotFoundError,
    OutcomeUnknownError,
    ProviderError,
    RejectedError,
    UnavailableError,
)
from switchboard.providers.twilio.api import TwilioConnections
from switchboard.providers.twilio.client import TwilioClient
from switchboard.providers.twilio.codes import CODES, describe
from switchboard.providers.twilio.credentials import Credentials
from switchboard.providers.twilio.errors import from_answer, retry_after
from switchboard.sandbox.twilio.control_models import DeliveryPlan, FaultSpec

HELLO = OutboundMessage(Channel.SMS, PERSON, "Hello", sender=NUMBER)


async def posts(line: Line) -> int:
    return sum(entry.method == "POST" for entry in await line.control.requests())


async def arrived(line: Line) -> int:
    return sum(message.direction == "outbound-api" for message in await line.control.messages())


@pytest.mark.parametrize(
    ("code", "reason"),
    [(21211, "InvalidRecipient"), (21408, "RegionNotEnabled"), (21610, "OptedOut"), (21614, "NotMobile")],
)
async def test_a_refusal_says_what_it_means_and_is_not_repeated(line: Line, code: int, reason: str) -> None:
    await line.control.plan(DeliveryPlan(refuse=code))
    with pytest.raises(RejectedError) as caught:
        await line.client.send(HELLO)
    error = caught.value
    assert (error.code, error.reason, error.status) == (code, reason, 400)
    assert CODES[code].mend in str(error)
    assert PERSON not in str(error)
    assert await posts(line) == 1


async def test_too_many_requests_were_not_processed_and_say_how_long_to_wait(line: Line) -> None:
    await line.control.fault(FaultSpec(method="POST", path="*/Messages.json", status=429, retry_after=7))
    with pytest.raises(UnavailableError) as caught:
        await line.client.send(HELLO)
    assert (caught.value.code, caught.value.retry_after) == (20429, 7.0)
    assert await arrived(line) == 0
    await line.client.send(HELLO)


async def test_a_full_queue_was_not_processed_either(line: Line) -> None:
    await line.control.plan(DeliveryPlan(refuse=21611))
    with pytest.raises(UnavailableError):
        await line.client.send(HELLO)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 503}, {"drop": True}], ids=["500", "503", "dropped"])
async def test_a_send_that_may_have_been_processed_is_in_doubt_and_never_repeated(
    line: Line, fault: dict[str, object], after: bool
) -> None:
    spec = FaultSpec.model_validate({"method": "POST", "path": "*/Messages.json", "after": after, **fault})
    await line.control.fault(spec)
    with pytest.raises(OutcomeUnknownError):
        await line.client.send(HELLO)
    assert await posts(line) == 1
    assert await arrived(line) == (1 if after else 0)


async def test_a_send_ends_within_its_time_and_is_in_doubt(line: Line) -> None:
    await line.control.fault(FaultSpec(method="POST", delay=30))
    with pytest.raises(OutcomeUnknownError, match="in time"):
        await line.client.send(HELLO, within=0.5)
    assert await posts(line) == 1


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": True}])
async def test_what_may_happen_twice_is_merely_unavailable(line: Line, fault: dict[str, object]) -> None:
    await line.control.fault(FaultSpec.model_validate({"times": None, **fault}))
    with pytest.raises(UnavailableError):
        await line.client.probe()
    with pytest.raises(UnavailableError):
        await line.client.update_number(line.account.numbers[0].sid, sms_url="https://x.example.com/")


async def test_where_nobody_listens_a_send_was_surely_not_processed() -> None:
    async with TwilioConnections(timeout=2) as connections:
        client = TwilioClient(connections, Credentials("AC" + "0" * 32, "t"), base_url="http://127.0.0.1:1")
        with pytest.raises(UnavailableError, match="cannot be reached"):
            await client.send(HELLO)


async def test_a_gateway_that_is_not_twilio_s_is_told_as_such(line: Line) -> None:
    client = TwilioClient(
        line.connections, Credentials(line.account.sid, "t"), base_url=f"{line.simulator.url}/_sim/accounts"
    )
    with pytest.raises(ProviderError):
        await client.probe()
    error = from_answer(200, None, {}, once=False)
    assert isinstance(error, UnavailableError)
    assert "api.baseURL" in str(error)
    assert isinstance(from_answer(200, None, {}, once=True), OutcomeUnknownError)


async def test_nothing_logged_holds_a_token_or_a_number(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await line.client.probe()
    await line.client.send(HELLO)
    logged = " ".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("switchboard.sandbox")
    )
    assert line.account.auth_token not in logged
    assert PERSON not in logged
    assert PERSON.replace("+", "%2B") not in logged


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, 20003, CredentialsError),
        (401, None, CredentialsError),
        (403, 20403, AccountUnusableError),
        (401, 20005, AccountUnusableError),
        (400, 90010, AccountUnusableError),
        (404, 20404, NotFoundError),
        (404, None, NotFoundError),
        (400, 99999, RejectedError),
        (400, None, RejectedError),
        (301, None, UnavailableError),
        (409, None, UnavailableError),
        (429, None, UnavailableError),
        (429, 63018, UnavailableError),
        (502, None, UnavailableError),
    ],
)
def test_an_answer_is_told_by_its_code_and_then_by_its_status(
    status: int, code: int | None, kind: type[ProviderError]
) -> None:
    error = from_answer(status, code, {}, once=False)
    assert type(error) is kind
    assert error.reason
    assert code is None or str(code) in str(error)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("99999", 3600.0),
        ("nan", None),
        ("", None),
        ("soon", None),
        ("Thu, 01 Jan 1970 00:01:00 GMT", 30.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
    ],
)
def test_how_long_to_wait_is_read_in_both_forms_and_bounded(header: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": header}, now=30.0) == seconds


def test_every_code_has_a_reason_and_a_sentence() -> None:
    for code, text in CODES.items():
        assert text.reason[0].isupper()
        assert text.reason.isalnum()
        assert text.sentence.endswith(".")
        assert not text.mend or text.mend.endswith(".")
        assert describe(code).startswith(text.sentence)
    assert describe(99999).endswith("/errors/99999")
