"""Turns for tests: what an engine is told."""

from __future__ import annotations

from datetime import UTC, datetime

from switchboard.engines import Said, TurnInput

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def said(text: str, *, by_contact: bool = True, **others: object) -> Said:
    return Said(by_contact=by_contact, text=text, time=NOW, **others)  # type: ignore[arg-type]


def turn(*texts: str, **others: object) -> TurnInput:
    fields: dict[str, object] = {
        "execution": "exe-1",
        "attempt": 1,
        "conversation": "conv-1",
        "agent": "support",
        "revision": "support-v1",
        "connector": "production-sms",
        "channel": "SMS",
        "contact": "+15005550006",
        "contact_name": None,
        "now": NOW,
        "messages": [said(text) for text in texts],
    }
    return TurnInput(**(fields | others))  # type: ignore[arg-type]
