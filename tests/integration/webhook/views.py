"""A database's records as custom resources have them, so that one test reads both."""

from __future__ import annotations

from typing import Any

from switchboard.log.records import Execution, Message

Manifest = dict[str, Any]


def message(one: Message) -> Manifest:
    """A Message."""
    inbound = one.direction == "Inbound"
    spec = {"direction": one.direction, "body": one.body, "from": one.sender, "to": one.recipient}
    status = {
        "state": one.state,
        "delivery": one.delivery.value if one.delivery else None,
        "errorCode": one.error_code,
        "error": one.error,
        "execution": one.execution,
        "attempts": one.attempts,
        "providerMessageId": None if inbound else one.provider_message_id,
    }
    return {
        "metadata": {"name": one.name},
        "spec": {**spec, "sequence": one.sequence, "providerMessageId": one.provider_message_id if inbound else None},
        "status": status,
    }


def execution(one: Execution) -> Manifest:
    """An Execution."""
    status: Manifest = {"state": one.state, "attempts": one.attempts, "endTime": one.end_time}
    if one.error is not None:
        status["error"] = one.error.manifest()
    return {"metadata": {"name": one.name}, "spec": {"revision": one.revision}, "status": status}
