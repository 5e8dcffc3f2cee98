"""A simulator with an account that holds one of everything."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from switchboard.sandbox.twilio import TwilioSimulator
from switchboard.sandbox.twilio.control_models import (
    AccountSpec,
    ApiKeySpec,
    ApplicationSpec,
    MediaSpec,
    NumberSpec,
    SenderSpec,
    ServiceSpec,
)

NUMBER, OTHER, PERSON = "+15005550006", "+15005550007", "+15550001111"


@dataclass
class Furnished:
    """The simulator and what is in its account."""

    simulator: TwilioSimulator
    account: AccountSpec
    inbound: str
    picture: str

    @property
    def url(self) -> str:
        return self.simulator.url


@pytest.fixture
async def furnished() -> AsyncIterator[Furnished]:
    async with TwilioSimulator() as simulator:
        control = simulator.control
        account = await control.create_account(
            AccountSpec(
                numbers=[NumberSpec(phone_number=NUMBER), NumberSpec(phone_number=OTHER)],
                applications=[ApplicationSpec(friendly_name="app", sms_url="https://app.example.com/sms")],
                services=[ServiceSpec(friendly_name="pool", numbers=[OTHER])],
                senders=[SenderSpec(phone_number=NUMBER), SenderSpec(phone_number=OTHER, status="OFFLINE")],
                keys=[ApiKeySpec(), ApiKeySpec(main=True)],
            )
        )
        text = await control.text(PERSON, NUMBER, "Hello")
        picture = await control.text(PERSON, NUMBER, "Look", media=[MediaSpec(content="aGVsbG8=")])
        yield Furnished(simulator, account, text.message_sid, picture.message_sid)
