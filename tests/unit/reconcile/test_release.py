"""What is kept of what stood there before us."""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.reconcile import release
from switchboard.reconcile.release import Previous, Record
from switchboard.reconcile.twilio import Carrier, Kind
from switchboard.reconcile.webhooks import Write

from .samples import ACCOUNT, NUMBER_SID, URL, connector

OLD = "https://user:pass@old.example.com/sms"


def write(url: str, *, repair: bool = False) -> Write:
    return Write("SMS", Carrier(Kind.NUMBER, NUMBER_SID, "+1", url), URL, repair)


def kept(record: Record, *asked: Write) -> list[str]:
    return [it.url for it in release.kept(record, ACCOUNT.sid, asked, connector()).places]


OURS_BEFORE = Record(places=[Previous(account=ACCOUNT.sid, kind=Kind.NUMBER, sid=NUMBER_SID, url=OLD)])


def test_what_stands_there_before_the_first_write_is_kept() -> None:
    assert kept(Record(), write(OLD)) == [OLD]


def test_what_an_intruder_set_is_not_kept() -> None:
    assert kept(OURS_BEFORE, write("https://intruder.example.com", repair=True)) == [OLD]


def test_ended_between_keeping_and_writing_the_newest_counts() -> None:
    assert kept(OURS_BEFORE, write("https://newer.example.com")) == ["https://newer.example.com"]


@pytest.mark.parametrize("url", [URL, URL.replace("agents.", "other."), URL.partition("#")[0]])
def test_a_url_of_a_switchboard_is_never_kept(url: str) -> None:
    assert kept(Record(), write(url)) == [""]


def test_a_record_survives_its_secret() -> None:
    secret: Any = release.secret(connector(), OURS_BEFORE)
    assert release.read(secret["data"]) == OURS_BEFORE
    assert OLD not in str(secret)


@pytest.mark.parametrize("data", [{}, {"previous.json": "nonsense"}, {"previous.json": "bm90IGpzb24="}])
def test_a_secret_that_somebody_broke_is_an_empty_record(data: dict[str, str]) -> None:
    assert release.read(data) == Record()


def test_without_its_secret_the_status_says_where_to_look() -> None:
    status = {
        "account": {"sid": ACCOUNT.sid},
        "channels": [{"channel": "SMS", "sid": NUMBER_SID, "reason": "Connected"}],
    }
    [place] = release.to_release(connector(status=status), Record())
    assert (place.kind, place.sid, place.url) == (Kind.NUMBER, NUMBER_SID, "")


def test_names_of_secrets_fit() -> None:
    assert len(release.secret_name("a" * 253)) <= 253
    assert release.secret_name("a" * 253) != release.secret_name("a" * 252 + "b")


def test_a_connectors_name_of_any_length_gives_a_secret_a_name_of_its_own() -> None:
    assert release.secret_name("sms") == "sms-previous-webhook"
    long = [f"{'a' * 252}{end}" for end in "bc"] + ["a" * 200, "a" * 201, "a" * 189 + "." + "a" * 30]
    names = [release.secret_name(name) for name in long]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 253
    assert names[2].startswith("a" * 200 + "-previous")
    assert not any(mark in name for name in names for mark in (".-", "--"))
