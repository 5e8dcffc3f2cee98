"""What must hold after every fault: nothing acknowledged is lost, nothing is answered twice, order is kept."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.webhook.rig import Rig

SETTLED = {"Answered", "Ignored", "Missed", "Failed", "Refused"}
SENT = {"Sent", "Failed", "DeliveryUnknown", "Cancelled"}
_WORD = re.compile(r"\b[a-z]+-\d+\b")


TOLD = "a reply may not have been sent"
"""What a pod logs of an attempt that it gives up as `DeliveryUnknown`."""


@dataclass
class Tally:
    """What became of the messages of a test."""

    acknowledged: int
    recorded: int
    answered: int
    unanswered: dict[str, str]
    """By text: the recorded reason."""


async def settle(rig: Rig, count: int, timeout: float = 30) -> None:
    """Waits until `count` messages are recorded and nothing is in work."""

    async def look() -> bool:
        inbound, outbound = await rig.messages("Inbound"), await rig.messages("Outbound")
        executions = await rig.executions()
        return (
            len(inbound) >= count
            and all(one.get("status", {}).get("state") in SETTLED for one in inbound)
            and all(one.get("status", {}).get("state") in SENT for one in outbound)
            and all(one.get("status", {}).get("endTime") for one in executions)
            and all(
                len([one for one in outbound if one["metadata"]["name"].rpartition("-")[0] == each["metadata"]["name"]])
                == each["status"].get("parts", 0)
                for each in executions
                if rig.reader is None
            )
        )

    await rig.until(look, timeout)

    async def arrived() -> bool:
        """What Twilio took is on the phones: that takes its own time."""
        views = await rig.twilio.messages(rig.account)
        return all(one.arrived or one.direction == "inbound" for one in views)

    await rig.until(arrived, timeout)


async def check(rig: Rig, phones: list[str], texts: dict[str, list[str]]) -> Tally:
    """Asserts the promises. `texts`: what each phone sent; each is `echo <word>-<n>`, which no other is.

    Answers are handed to Twilio in the order of durable receipt; in which they arrive is for it to say. An attempt that
    was told as in doubt was given up, and what follows was sent: Twilio may yet take it, at any time.
    """
    inbound, outbound, executions = (
        await rig.messages("Inbound"),
        await rig.messages("Outbound"),
        await rig.executions(),
    )
    kept = Counter(one["spec"]["providerMessageId"] for one in inbound)
    calls = [call for call in await rig.twilio.webhook_calls() if call.account == rig.account]
    acknowledged = {call.message_sid for call in calls if call.kind == "message" and call.status == 200}
    assert acknowledged <= set(kept), "an acknowledged message is not in the log"
    assert max(kept.values(), default=0) <= 1, "a message was recorded twice"

    taken = [one for one in await rig.twilio.messages(rig.account) if one.direction != "inbound" and one.arrived]
    by_name = {one["metadata"]["name"]: one for one in executions}
    reasons: dict[str, str] = {}
    answered = 0
    doubted = told_in_doubt(rig.directory)
    for phone in phones:
        answers = [
            Answer(word, attempt_of(one.status_callback))
            for one in taken
            if one.to.endswith(phone)
            for word in _WORD.findall(one.body)
        ]
        shown = [answer.word for answer in answers]
        times = Counter(shown)
        assert max(times.values(), default=0) <= 1, f"answered twice: {times}"
        sent = [word for text in texts[phone] for word in _WORD.findall(text)]
        received = [
            word for one in inbound for word in _WORD.findall(one["spec"]["body"]) if one["spec"]["from"] == phone
        ]
        assert sorted(received) == sorted(sent), "a message that Twilio took is not in the log"
        assert not late(answers, received, doubted), f"out of order: {answers}, in doubt: {doubted}"
        for word in sent:
            if times[word]:
                answered += 1
                continue
            [message] = [one for one in inbound if word in _WORD.findall(one["spec"]["body"])]
            reasons[word] = reason(message, by_name, outbound)
    return Tally(len(acknowledged), len(kept), answered, reasons)


def reason(message: dict[str, Any], executions: dict[str, Any], outbound: list[dict[str, Any]]) -> str:
    """Why a message has no answer; fails if nothing says so."""
    status = message["status"]
    if said := status.get("error") or message["spec"].get("reason"):
        return str(said)
    name = status.get("execution")
    assert name is not None, f"no reason is recorded: {message}"
    if error := executions[name]["status"].get("error"):
        return str(error["kind"])
    parts = [one for one in outbound if one["metadata"]["name"].rpartition("-")[0] == name]
    told = [str(one["status"].get("error")) for one in parts if one["status"]["state"] != "Sent"]
    assert told, f"no reason is recorded: {message}, {executions[name]}, {parts}"
    return told[0]


@dataclass(frozen=True)
class Answer:
    """What Twilio took."""

    word: str
    attempt: str
    """Under which attempt it was handed over."""


def attempt_of(status_callback: str) -> str:
    """The attempt that a StatusCallback is of."""
    return status_callback.partition("#")[0].rpartition("/")[2]


def told_in_doubt(directory: Path) -> set[str]:
    """Attempts that pods with logs in `directory`, whether they live or not, gave up and told of."""
    return {
        str(line["attempt"]) for path in directory.glob("*.log") for line in _lines(path) if line["message"] == TOLD
    }


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if TOLD in line:
            try:
                yield json.loads(line)
            except ValueError:  # it was killed while it wrote
                continue


def late(answers: Sequence[Answer], received: Sequence[str], doubted: set[str]) -> int:
    """How many answers Twilio took after that to a later message, without having been told as in doubt."""
    count, furthest = 0, -1
    for answer in answers:
        place = received.index(answer.word)
        count += place < furthest and answer.attempt not in doubted
        furthest = max(furthest, place)
    return count
