"""`engine.endpoint`: an agent of one's own, over A2A or a plain JSON POST."""

from __future__ import annotations

from pathlib import Path

from switchboard.api.engine import EndpointEngine
from switchboard.engines.base import Engine
from switchboard.engines.endpoint.transport import SessionFactory


def build(endpoint: EndpointEngine, secrets: Path, session_factory: SessionFactory | None = None) -> Engine:
    """The engine that speaks the endpoint's protocol."""
    if endpoint.protocol == "HTTP":
        from switchboard.engines.endpoint.http import HttpEngine

        return HttpEngine(endpoint, secrets, session_factory)
    from switchboard.engines.endpoint.a2a import A2AEngine

    return A2AEngine(endpoint, secrets, session_factory)
