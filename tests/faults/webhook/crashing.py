"""`switchboard webhook` with faults built in, by name and from the environment; the product has none of this.

CRASH_AT: `<step>:<before|after>[:<action>]`, where the process gets SIGKILL (or the action: STOP), once:
    record, claim, answer, finish, begin_attempt, send, confirm, release, deliver.
CRASH_FILE: made when that happens; while it is there, nothing happens any more.
POISON: an engine that is handed this word gets SIGKILL, every time.
UNCONFIRMED: seconds after which an attempt that nobody confirmed is given up.
MARGIN: seconds that requests end before their deadline, and leases outlast it. Between machines whose clocks differ it
takes more than on one.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import switchboard.log.postgres.sending as postgres_sending
import switchboard.log.resources.sending as resources_sending
import switchboard.webhook.sending as webhook_sending
from switchboard.cli import main
from switchboard.engines.base import TurnInput
from switchboard.engines.script import ScriptEngine
from switchboard.log.postgres import PostgresLog
from switchboard.log.resources import ResourcesLog
from switchboard.providers.twilio.client import TwilioClient

WHERE: dict[str, list[tuple[type, str]]] = {
    "send": [(TwilioClient, "send")],
    "answer": [(ScriptEngine, "answer")],
    **{
        step: [(ResourcesLog, step), (PostgresLog, step)]
        for step in ("record", "claim", "finish", "begin_attempt", "confirm", "release", "deliver")
    },
}


def _strike(action: str) -> None:
    marker = Path(os.environ["CRASH_FILE"])
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGSTOP if action == "STOP" else signal.SIGKILL)


def _wrap(owner: type, name: str, moment: str, action: str) -> None:
    original: Callable[..., Awaitable[Any]] = getattr(owner, name)

    @functools.wraps(original)
    async def wrapped(*arguments: Any, **options: Any) -> Any:
        if moment == "before":
            _strike(action)
        result = await original(*arguments, **options)
        if moment == "after" and (result is not None or name != "claim"):
            _strike(action)
        return result

    setattr(owner, name, wrapped)


def _poison(word: str) -> None:
    original = ScriptEngine.answer

    async def answer(self: ScriptEngine, turn: TurnInput) -> Any:
        if any(word in said.text for said in turn.messages):
            os.kill(os.getpid(), signal.SIGKILL)
        return await original(self, turn)

    ScriptEngine.answer = answer  # type: ignore[method-assign]


if __name__ == "__main__":
    if place := os.environ.get("CRASH_AT"):
        step, moment, *rest = place.split(":")
        for owner, name in WHERE[step]:
            _wrap(owner, name, moment, rest[0] if rest else "KILL")
    if word := os.environ.get("POISON"):
        _poison(word)
    if seconds := os.environ.get("UNCONFIRMED"):
        resources_sending.UNCONFIRMED_SECONDS = postgres_sending.UNCONFIRMED_SECONDS = float(seconds)
    if margin := os.environ.get("MARGIN"):
        resources_sending.LEASE_MARGIN_SECONDS = postgres_sending.LEASE_MARGIN_SECONDS = float(margin)
        webhook_sending._MARGIN = float(margin)
    sys.exit(main(["webhook", *sys.argv[1:]]))
