"""How much of a conversation an engine is told."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import dropwhile

from switchboard.engines.base import Said


def bound(history: Sequence[Said], *, messages: int, characters: int) -> list[Said]:
    """The latest part of a history that keeps within both bounds (`spec.template.turn.history…`), oldest first.

    A message is kept whole or not at all, and with it what the engine did to make it, so that no tool call is cut
    from its result. Where something is left out, it begins with words of the contact: an answer without its question
    misleads.
    """
    kept: list[Said] = []
    left = characters
    for said in reversed(history):
        left -= size(said)
        if left < 0 or len(kept) >= messages:
            return list(dropwhile(lambda said: not said.by_contact, reversed(kept)))
        kept.append(said)
    return kept[::-1]


def size(said: Said) -> int:
    """Characters that a message takes, with the tool calls that are told along with it."""
    calls = (step for step in said.steps if step.kind == "ToolCall")
    return len(said.text) + sum(len(step.arguments or "") + len(step.result or "") for step in calls)
