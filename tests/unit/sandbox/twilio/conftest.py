"""A simulator, an account with a number and a sender, and a webhook that answers as it is told."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from twilio.request_validator import RequestValidator

from switchboard.providers.twilio.form import parse_form
from switchboard.sandbox.twilio import Control, TwilioSimulator
from switchboard.sandbox.twilio.control_models import AccountSpec, NumberSpec, SenderSpec

NUMBER, OTHER, PERSON = "+15005550006", "+15005550007", "+15550001111"
EMPTY = '<?xml version="1.0" encoding="UTF-8"?><Response/>'


@dataclass
class Received:
    """A request that came to the webhook."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    parameters: dict[str, str]


Answering = Callable[[int], web.Response | None]


@dataclass
class Hook:
    """A webhook. `answer` gets how many requests came before, and drops the connection with None."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answer: Answering = lambda before: web.Response(text=EMPTY, content_type="text/xml")

    async def handle(self, request: web.Request) -> web.Response:
        parameters = dict(parse_form(await request.read()))
        received = Received(
            request.method,
            request.rel_url.raw_path,
            request.rel_url.raw_query_string,
            dict(request.headers),
            parameters,
        )
        before = len(self.received)
        self.received.append(received)
        answer = self.answer(before)
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return answer

    def signed(self, token: str, index: int = -1) -> bool:
        """What the SDK says of a request's signature."""
        got = self.received[index]
        url = self.url + got.path + (f"?{got.query}" if got.query else "")
        parameters = got.parameters if got.method == "POST" else {}
        return bool(RequestValidator(token).validate(url, parameters, got.headers.get("X-Twilio-Signature", "")))


@dataclass
class Stage:
    """Everything a scene needs."""

    simulator: TwilioSimulator
    account: AccountSpec
    hook: Hook

    @property
    def control(self) -> Control:
        return self.simulator.control

    async def send(self, **form: str) -> dict[str, object]:
        """A message through the API; the answer's body."""
        url = f"{self.simulator.url}/2010-04-01/Accounts/{self.account.sid}/Messages.json"
        headers = {"Authorization": aiohttp.encode_basic_auth(self.account.sid, self.account.auth_token)}
        values = {"To": PERSON, "From": NUMBER, "Body": "Hi"} | form
        async with aiohttp.ClientSession() as session, session.post(url, data=values, headers=headers) as answer:
            body: dict[str, object] = await answer.json()
            return body


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    hook = Hook()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hook.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield hook
    await runner.cleanup()


@pytest.fixture
async def stage(hook: Hook) -> AsyncIterator[Stage]:
    async with TwilioSimulator() as simulator:
        account = await simulator.control.create_account(
            AccountSpec(
                numbers=[
                    NumberSpec(phone_number=NUMBER, sms_url=f"{hook.url}/sms"),
                    NumberSpec(phone_number=OTHER),
                ],
                senders=[SenderSpec(phone_number=NUMBER, callback_url=f"{hook.url}/whatsapp")],
            )
        )
        yield Stage(simulator, account, hook)
