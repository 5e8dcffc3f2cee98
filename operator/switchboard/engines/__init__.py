"""Engines: what answers. `build` makes the one that an Agent's template asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from switchboard.api import engine as api
from switchboard.engines.base import (
    Answer,
    Engine,
    EngineError,
    EngineMisconfigured,
    EngineRefused,
    EngineUnavailable,
    Media,
    Said,
    TurnInput,
)

if TYPE_CHECKING:
    import aiohttp

__all__ = [
    "Answer",
    "Engine",
    "EngineError",
    "EngineMisconfigured",
    "EngineRefused",
    "EngineUnavailable",
    "Media",
    "Said",
    "TurnInput",
    "build",
]


def build(
    engine: api.Engine,
    *,
    secrets: Path,
    session_factory: Callable[[], aiohttp.ClientSession] | None = None,
) -> Engine:
    """The engine that a template asks for. Nothing is asked of anybody.

    Args:
        engine: `spec.template.engine`, with instructions already in place.
        secrets: the directory below which `switchboard.api.runtime.SecretFiles` names files.
        session_factory: makes the HTTP session of `endpoint` engines, which the engine then closes.

    Raises:
        EngineMisconfigured: it cannot work as it is set up. `Engine.check` finds what needs a closer look.
    """
    # Each kind's libraries are loaded only where it is used: a script needs no model library.
    if engine.script is not None:
        from switchboard.engines.script import ScriptEngine

        return ScriptEngine(engine.script)
    if engine.endpoint is not None:
        from switchboard.engines import endpoint

        return endpoint.build(engine.endpoint, secrets, session_factory)
    if engine.model is not None:
        from switchboard.engines import model

        return model.build(engine.model, secrets)
    raise EngineMisconfigured("EngineMissing", "spec.template.engine: set exactly one of model, endpoint and script")
