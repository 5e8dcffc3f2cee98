"""A simulator, an account with a number and a sender, and our client of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from switchboard.providers.twilio.api import TwilioConnections
from switchboard.providers.twilio.client import TwilioClient
from switchboard.providers.twilio.credentials import Credentials
from switchboard.sandbox.twilio import Control, TwilioSimulator
from switchboard.sandbox.twilio.control_models import AccountSpec, NumberSpec, SenderSpec

NUMBER, PERSON = "+15005550006", "+15550001111"


@dataclass
class Line:
    """A client of a simulated account."""

    simulator: TwilioSimulator
    connections: TwilioConnections
    account: AccountSpec
    client: TwilioClient

    @property
    def control(self) -> Control:
        return self.simulator.control

    def client_with(self, token: str = "", **key: str) -> TwilioClient:
        """Another client of the account, with other credentials."""
        credentials = Credentials(self.account.sid, token or self.account.auth_token, **key)
        return TwilioClient(self.connections, credentials, base_url=self.simulator.url)

    async def requests(self) -> list[str]:
        """The requests so far: method and the end of the path."""
        return [f"{entry.method} {entry.path.rpartition('/')[2]}" for entry in await self.control.requests()]


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    async with TwilioSimulator() as simulator, TwilioConnections(timeout=5) as connections:
        account = await simulator.control.create_account(
            AccountSpec(
                friendly_name="Acme",
                numbers=[NumberSpec(phone_number=NUMBER, sms_url="https://old.example.com/sms")],
                senders=[SenderSpec(phone_number=NUMBER, fallback_url="https://old.example.com/fallback")],
            )
        )
        credentials = Credentials(account.sid, account.auth_token)
        client = TwilioClient(connections, credentials, base_url=simulator.url)
        yield Line(simulator, connections, account, client)
