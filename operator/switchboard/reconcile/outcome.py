"""What a decision gives besides objects: problems that a person should know of, and Events."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal


class Mend(Enum):
    """Who ends a problem: what kstatus is told."""

    WAIT = auto()
    """It goes on by itself: `Reconciling`."""
    ARRIVE = auto()
    """Something else is missing that the same commit may bring: `Reconciling` for a while, then `Stalled`."""
    PERSON = auto()
    """A person must change something: `Stalled`."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something is not as it is wanted: a condition's reason, and a sentence that says what to do."""

    reason: str
    message: str
    mend: Mend = Mend.PERSON


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, told once."""

    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Normal"
