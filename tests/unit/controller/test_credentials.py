"""What a connector's Secret may hold, and what is said of one that cannot be used."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.unit.reconcile.samples import connector

from switchboard.controller.credentials import CredentialsBook, problem_of
from switchboard.controller.secrets import SecretReader
from switchboard.kube.errors import NotFound
from switchboard.providers.errors import AccountUnusableError, ProviderError, UnavailableError
from switchboard.providers.twilio.credentials import Credentials
from switchboard.reconcile.outcome import Mend, Problem

SID, TOKEN = "AC" + "0a" * 16, "0b" * 16


class Api:
    """A cluster with one Secret, or none; counts how often it was read."""

    def __init__(self, secret: dict[str, Any] | None) -> None:
        self.secret = secret
        self.reads = 0

    async def get(self, *_: Any) -> dict[str, Any]:
        self.reads += 1
        if self.secret is None:
            raise NotFound("no such Secret")
        return self.secret


def secret(*, label: str | None = "true", version: str = "1", **values: bytes) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "twilio", "namespace": "acme", "uid": "u", "resourceVersion": version}
    if label is not None:
        metadata["labels"] = {"switchboard.dev/use": label}
    return {"metadata": metadata, "data": {key: base64.b64encode(it).decode() for key, it in values.items()}}


async def read(found: dict[str, Any] | None) -> Credentials | Problem:
    return await CredentialsBook(SecretReader(Api(found))).of(connector())  # type: ignore[arg-type]


def usable(answer: Credentials | Problem) -> Credentials:
    assert isinstance(answer, Credentials), answer
    return answer


def problem(answer: Credentials | Problem) -> Problem:
    assert isinstance(answer, Problem)
    return answer


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b" ", b"\n\n"])
async def test_white_space_around_a_value_is_no_part_of_it(end: bytes) -> None:
    found = usable(await read(secret(accountSid=b" " + SID.encode() + end, authToken=TOKEN.encode() + end)))
    assert (found.account_sid, found.auth_token) == (SID, TOKEN)


@pytest.mark.parametrize(
    ("sid", "token", "said"),
    [
        (b"", TOKEN.encode(), "has no accountSid"),
        (SID.encode(), b"", "has no authToken"),
        (SID.encode(), b" \n", "authToken: is empty"),
        (SID.encode(), b"\xff\xfe", "authToken: is not text"),
        (b"\xef\xbb\xbf" + SID.encode(), TOKEN.encode(), "accountSid: must be AC"),
        (SID[:9].encode() + b" " + SID[9:].encode(), TOKEN.encode(), "accountSid: must be AC"),
        (TOKEN.encode(), SID.encode(), "accountSid: must be AC"),
        (base64.b64encode(SID.encode()), base64.b64encode(TOKEN.encode()), "It is base64 once too often"),
        (base64.b64encode(SID.encode() + b"\n"), TOKEN.encode(), "It is base64 once too often"),
        (b"SK" + SID[2:].encode(), TOKEN.encode(), "that goes into apiKeySid"),
    ],
)
async def test_what_cannot_be_used_is_said_by_its_key_and_never_shown(sid: bytes, token: bytes, said: str) -> None:
    found = problem(await read(secret(accountSid=sid, authToken=token)))
    assert "The Secret twilio " in found.message
    assert said in found.message
    assert TOKEN not in found.message
    assert SID not in found.message


@pytest.mark.parametrize("label", [None, "false", "True"])
async def test_a_secret_that_is_not_labelled_for_use_is_not_used(label: str | None) -> None:
    found = problem(await read(secret(label=label, accountSid=SID.encode(), authToken=TOKEN.encode())))
    assert found.reason == "SecretNotAllowed"


async def test_one_that_does_not_exist_is_told_with_the_commands_that_make_it() -> None:
    found = problem(await read(None))
    assert found.reason == "CredentialsMissing"
    assert "kubectl create secret generic twilio" in found.message
    assert "kubectl label secret twilio switchboard.dev/use=true -n acme" in found.message


async def test_a_secret_is_read_again_only_when_its_version_is_another() -> None:
    api = Api(secret(accountSid=SID.encode(), authToken=TOKEN.encode()))
    reader = SecretReader(api)  # type: ignore[arg-type]
    book = CredentialsBook(reader)
    reader.seen(api.secret["metadata"])  # type: ignore[index]
    for _ in range(2):
        assert usable(await book.of(connector())).auth_token == TOKEN
    assert api.reads == 1
    api.secret = secret(version="2", accountSid=SID.encode(), authToken=b"new")
    reader.seen(api.secret["metadata"])
    assert usable(await book.of(connector())).auth_token == "new"
    assert api.reads == 2


@pytest.mark.parametrize(
    ("error", "reason", "mend"),
    [
        (UnavailableError("Twilio does not answer.", reason="X"), "TwilioUnavailable", Mend.WAIT),
        (AccountUnusableError("The account is suspended.", reason="X"), "AccountSuspended", Mend.PERSON),
        (ProviderError("No.", reason="X", status=401), "CredentialsInvalid", Mend.PERSON),
        (ProviderError("No.", reason="X", status=403), "CredentialsInvalid", Mend.PERSON),
        (ProviderError("No.", reason="X", status=404), "CredentialsInvalid", Mend.PERSON),
        (ProviderError("No.", reason="X", status=400), "Rejected", Mend.PERSON),
    ],
)
def test_what_twilio_refused_is_told_by_who_mends_it(error: ProviderError, reason: str, mend: Mend) -> None:
    found = problem_of(error, "twilio")
    assert (found.reason, found.mend) == (reason, mend)
    assert ("in the Secret twilio" in found.message) is (reason == "CredentialsInvalid")
