"""What goes wrong with a model, told apart by who must act."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydantic_ai import exceptions as ai

from switchboard.engines.base import EngineError, EngineMisconfigured, EngineRefused, EngineUnavailable
from switchboard.engines.model.providers import FIELD
from switchboard.engines.texts import Redactor


@dataclass(frozen=True, slots=True)
class _Case:
    """What one of pydantic-ai's errors means here."""

    error: type[ai.AgentRunError]
    becomes: type[EngineMisconfigured | EngineRefused | EngineUnavailable]
    kind: str
    told: str
    quoted: bool = True
    """Whether the provider's own words follow."""


_CASES: Final = (
    # The words that come with a refused key may repeat the key, or most of it: OpenAI's do.
    _Case(
        ai.ModelAuthenticationError,
        EngineMisconfigured,
        "ModelUnauthorized",
        f"{FIELD}.apiKey: the provider refuses the key, or the key may not use this model",
        quoted=False,
    ),
    _Case(
        ai.ModelNotFoundError,
        EngineMisconfigured,
        "ModelNotFound",
        f"{FIELD}.name: the provider knows no such model",
    ),
    _Case(ai.ModelRateLimitError, EngineUnavailable, "RateLimited", "the provider's rate limit is reached"),
    _Case(ai.ModelOverloadedError, EngineUnavailable, "ModelOverloaded", "the provider is overloaded"),
    _Case(ai.ModelUnavailableError, EngineUnavailable, "ModelUnavailable", "the provider cannot serve the model now"),
    _Case(ai.ModelServerError, EngineUnavailable, "ModelServerError", "the provider failed"),
    _Case(ai.ModelTimeoutError, EngineUnavailable, "ModelTimeout", "the provider did not answer in time"),
    _Case(ai.ModelConnectionError, EngineUnavailable, "ModelUnreachable", "the provider cannot be reached"),
    _Case(ai.ModelQuotaExceededError, EngineRefused, "QuotaExceeded", "the account's quota or credit is used up"),
    _Case(
        ai.ModelContextWindowExceededError,
        EngineRefused,
        "ContextTooLong",
        "the conversation is longer than the model takes; lower spec.template.turn.historyCharacters",
    ),
    _Case(ai.ModelRequestRejectedError, EngineRefused, "ModelRefused", "the provider refused the request"),
    _Case(ai.ModelAPIError, EngineUnavailable, "ModelUnavailable", "the provider failed"),
    _Case(ai.ContentFilterError, EngineRefused, "ContentFiltered", "the provider's content filter stopped the answer"),
    _Case(
        ai.UnexpectedModelBehavior,
        EngineUnavailable,
        "UnexpectedModelBehavior",
        "the model gave no usable answer",
    ),
)
"""The first that fits counts: what is special stands before what is general."""


def translate(error: BaseException, redactor: Redactor) -> EngineError | None:
    """The engine's error for what a run raised, or None for what is our own bug and must be seen as such."""
    for one in _leaves(error):
        found = one if isinstance(one, EngineError) else _translate(one, redactor)
        if found is not None:
            return found
    return None


def _translate(error: BaseException, redactor: Redactor) -> EngineError | None:
    if isinstance(error, ai.UsageLimitExceeded):
        told = str(error).partition(". Consider")[0].strip()
        return EngineRefused("UsageLimitExceeded", f"{told}; {FIELD}.limits sets what a turn may spend")
    if isinstance(error, ai.UserError):
        return EngineMisconfigured("ModelInvalid", f"{FIELD}: {redactor.clean(str(error))}")
    case = next((case for case in _CASES if isinstance(error, case.error)), None)
    if case is None:
        return None
    told = case.told + (_quoted(error, redactor) if case.quoted else "")
    if case.becomes is EngineUnavailable and isinstance(error, ai.ModelAPIError):
        return EngineUnavailable(case.kind, told, retry_after=error.retry_after)
    return case.becomes(case.kind, told)


def describe(error: BaseException) -> str:
    """A short text for a step."""
    if isinstance(error, asyncio.CancelledError):
        return "broken off before it answered"
    if isinstance(error, ai.ModelAuthenticationError):
        return "the provider refuses the key"
    if isinstance(error, ai.ModelHTTPError):
        return f"{error.status_code}{_words(error)}"
    return str(error) or type(error).__name__


def _quoted(error: BaseException, redactor: Redactor) -> str:
    if isinstance(error, ai.ModelHTTPError):
        words = redactor.clean(_words(error), 500)
        return f" ({error.status_code}){words}"
    if isinstance(error, ai.AgentRunError):
        return f": {redactor.clean(error.message, 500)}"
    return ""


def _words(error: ai.ModelAPIError) -> str:
    """The provider's own sentence: never the whole body, which may repeat what was sent."""
    body = error.body
    for key in ("error", "message"):
        if isinstance(body, dict) and key in body:
            body = body[key]
    if isinstance(body, dict):
        body = body.get("message")
    return f": {body}" if isinstance(body, str) and body else ""


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
