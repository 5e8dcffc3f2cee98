"""Accounts are read once for all their connectors, and none is kept for ever."""

from __future__ import annotations

import pytest

from switchboard.controller import accounts
from switchboard.controller.accounts import Accounts
from switchboard.providers.twilio.api import TwilioConnections
from switchboard.providers.twilio.client import TwilioClient
from switchboard.providers.twilio.credentials import Credentials
from switchboard.providers.twilio.resources import Account

SID = "AC" + "a" * 32


async def test_the_account_of_a_replaced_token_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    async def probe(self: TwilioClient) -> Account:
        return Account(sid=self.account_sid)

    monkeypatch.setattr(TwilioClient, "probe", probe)
    monkeypatch.setattr(accounts.time, "monotonic", lambda: now)
    known = Accounts(TwilioConnections())
    old, new = Credentials(SID, "old"), Credentials(SID, "new")
    first = await known.open(old, "", 300)
    kept = await known.open(new, "", 300)
    now = accounts.UNUSED / 2
    assert await known.open(new, "", 300) is kept
    now = accounts.UNUSED * 1.1
    assert await known.open(new, "", 300) is kept
    assert await known.open(old, "", 300) is not first
