"""Faults strike whom and as often as they are ordered to, and what happened is written down without secrets."""

import aiohttp
import pytest
from tests.unit.sandbox.twilio.conftest import NUMBER, PERSON, Stage

from switchboard.sandbox.twilio.control_models import AccountChange, AccountSpec, ApiKeySpec, FaultSpec, NumberSpec


async def get(
    stage: Stage, path: str = "", user: str = "", password: str = "", method: str = "GET"
) -> tuple[int, dict[str, str]]:
    """A request as the account; its status (0: dropped) and headers."""
    account = stage.account
    auth = aiohttp.encode_basic_auth(user or account.sid, password or account.auth_token)
    url = stage.simulator.url + (path or f"/2010-04-01/Accounts/{account.sid}.json")
    try:
        async with (
            aiohttp.ClientSession(headers={"Authorization": auth}) as session,
            session.request(method, url) as answer,
        ):
            await answer.read()
            return answer.status, dict(answer.headers)
    except aiohttp.ServerDisconnectedError:
        return 0, {}


async def test_a_fault_strikes_as_often_as_ordered_and_only_what_it_names(stage: Stage) -> None:
    other = await stage.control.create_account(AccountSpec())
    fault = await stage.control.fault(
        FaultSpec(account=stage.account.sid, path="*/Accounts/*.json", method="GET", times=2, status=429, retry_after=3)
    )
    elsewhere = f"/2010-04-01/Accounts/{other.sid}.json"
    assert (await get(stage, elsewhere, other.sid, other.auth_token))[0] == 200
    first, headers = await get(stage)
    assert (first, headers["Retry-After"]) == (429, "3")
    assert (await get(stage))[0] == 429
    assert (await get(stage))[0] == 200
    assert [(item.id, item.struck) for item in await stage.control.faults()] == [(fault.id, 2)]
    assert [entry.status for entry in await stage.control.requests()] == [200, 429, 429, 200]


async def test_a_connection_is_dropped_before_or_after_the_request_was_processed(stage: Stage) -> None:
    for after, arrived in ((False, 0), (True, 1)):
        await stage.control.fault(FaultSpec(method="POST", drop=True, after=after))
        with pytest.raises(aiohttp.ClientError):
            await stage.send()
        assert len(await stage.control.messages()) == arrived
    assert [entry.status for entry in await stage.control.requests()] == [None, None]


async def test_a_500_may_hide_what_was_processed(stage: Stage) -> None:
    await stage.control.fault(FaultSpec(method="POST", status=500, after=True))
    assert (await stage.send())["code"] == 20500
    assert len(await stage.control.messages()) == 1


async def test_a_probability_is_a_share_of_requests(stage: Stage) -> None:
    await stage.control.fault(FaultSpec(times=None, probability=0.5, status=503))
    answers = [(await get(stage))[0] for _ in range(60)]
    assert 10 < answers.count(503) < 50
    await stage.control.clear_faults()
    assert (await get(stage))[0] == 200


async def test_a_slow_answer_takes_its_time(stage: Stage) -> None:
    await stage.control.fault(FaultSpec(delay=30))
    with pytest.raises(TimeoutError):
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.05)) as session:
            await session.get(f"{stage.simulator.url}/2010-04-01/Accounts/{stage.account.sid}.json")


@pytest.mark.parametrize(("code", "status"), [(20003, 401), (20005, 401), (20403, 403), (90010, 400)])
async def test_a_suspended_account_answers_as_ordered(stage: Stage, code: int, status: int) -> None:
    change = AccountChange.model_validate({"status": "suspended", "suspended_code": code})
    await stage.control.change_account(stage.account.sid, change)
    assert (await get(stage))[0] == status
    assert (await stage.send())["code"] == code


async def test_who_may_ask_for_what(stage: Stage) -> None:
    standard = await stage.control.add_key(stage.account.sid, ApiKeySpec())
    main = await stage.control.add_key(stage.account.sid, ApiKeySpec(main=True))
    stranger = await stage.control.create_account(AccountSpec())
    sub = await stage.control.create_account(AccountSpec(owner_sid=stage.account.sid))
    numbers = f"/2010-04-01/Accounts/{stage.account.sid}/IncomingPhoneNumbers.json"
    assert (await get(stage, numbers, standard.sid, standard.secret))[0] == 200
    assert (await get(stage, "", standard.sid, standard.secret))[0] == 401
    assert (await get(stage, "", main.sid, main.secret))[0] == 200
    assert (await get(stage, "/v1/Services", standard.sid, standard.secret))[0] == 200
    assert (await get(stage, numbers, standard.sid, "wrong"))[0] == 401
    assert (await get(stage, numbers, stranger.sid, stranger.auth_token))[0] == 401
    assert (await get(stage, f"/2010-04-01/Accounts/{sub.sid}.json"))[0] == 200
    assert (await get(stage, "", sub.sid, sub.auth_token))[0] == 401


async def test_releasing_a_number_or_a_sender_is_written_down_as_an_offence(stage: Stage) -> None:
    number, sender = stage.account.numbers[0].sid, stage.account.senders[0].sid
    path = f"/2010-04-01/Accounts/{stage.account.sid}/IncomingPhoneNumbers/{number}.json"
    assert (await get(stage, path, method="DELETE"))[0] == 204
    assert (await get(stage, f"/v2/Channels/Senders/{sender}", method="DELETE"))[0] == 204
    said = [offence.what for offence in await stage.control.offences()]
    assert said == [f"released the number {NUMBER}", f"released the WhatsApp sender {NUMBER}"]


async def test_the_request_log_holds_no_secret_and_no_text(stage: Stage) -> None:
    await stage.send(Body="private")
    log = "".join(entry.model_dump_json() for entry in await stage.control.requests())
    assert "/Messages.json" in log
    assert stage.account.auth_token not in log
    assert PERSON not in log
    assert "private" not in log


async def test_a_number_filter_matches_parts_and_stars(stage: Stage) -> None:
    await stage.control.add_number(stage.account.sid, "+442071234567")
    simulated = stage.simulator.world.accounts[stage.account.sid]
    from switchboard.sandbox.twilio.api_numbers import fits

    def found(wanted: str) -> set[str]:
        return {number.phone_number for number in simulated.numbers.values() if fits(wanted, number.phone_number)}

    assert found("+15005550006") == {NUMBER}
    assert found("1500555") == {NUMBER, "+15005550007"}
    assert found("+44*567") == {"+442071234567"}
    assert found("999") == set()


async def test_a_fallback_needs_a_url_and_a_url_must_be_one(stage: Stage) -> None:
    account, number = stage.account, stage.account.numbers[1].sid
    url = f"{stage.simulator.url}/2010-04-01/Accounts/{account.sid}/IncomingPhoneNumbers/{number}.json"
    auth = aiohttp.encode_basic_auth(account.sid, account.auth_token)
    async with aiohttp.ClientSession(headers={"Authorization": auth}) as session:
        for form, code in (
            ({"SmsFallbackUrl": "https://x.example.com/"}, 21406),
            ({"SmsUrl": "not a url"}, 21402),
            ({"SmsMethod": "PUT"}, 21403),
            ({"SmsApplicationSid": "AP" + "0" * 32}, 21402),
        ):
            async with session.post(url, data=form) as answer:
                assert (answer.status, (await answer.json())["code"]) == (400, code)
        async with session.post(url, json={"SmsUrl": "https://x.example.com/"}) as answer:
            assert answer.status == 415


async def test_a_taken_account_and_an_unknown_number_in_a_service_are_refused(stage: Stage) -> None:
    from switchboard.sandbox.twilio.control import ControlError
    from switchboard.sandbox.twilio.control_models import ServiceSpec

    with pytest.raises(ControlError, match="already"):
        await stage.control.create_account(AccountSpec(sid=stage.account.sid))
    with pytest.raises(ControlError, match="numbers: the account does not have"):
        await stage.control.add_service(stage.account.sid, ServiceSpec(numbers=["+15005550099"]))
    spec = AccountSpec(numbers=[NumberSpec(phone_number="+15005550042")], friendly_name="Second")
    assert (await stage.control.create_account(spec, auth_token="t" * 32)).auth_token == "t" * 32
