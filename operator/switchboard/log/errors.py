"""What can go wrong with a conversation log, by what may be done next."""

from __future__ import annotations


class LogError(Exception):
    """Base. `str()` is a sentence that names the mend and holds no secret and no phone number."""


class LogUnavailable(LogError):
    """The store cannot be reached or did not answer in time: it may work later. A webhook answers 503."""


class LogFull(LogError):
    """The store keeps as many messages as it may, and all are in work. A webhook answers 503."""


class LeaseLost(LogError):
    """Another worker holds this turn: stop, write nothing, send nothing."""


class OptedOut(LogError):
    """The contact sent STOP: the message was cancelled and must not be sent."""


class SchemaMismatch(LogError):
    """The database's schema is not the one that this version works with. The sentence says which and what to run."""


class LogMisconfigured(LogError):
    """The log cannot be opened as it is configured: the user mends the Agent or its Secret."""
