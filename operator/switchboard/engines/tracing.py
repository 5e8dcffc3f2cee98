"""Spans of a turn, where OpenTelemetry is set up, by its GenAI conventions
(https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-agent-spans/)."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from switchboard.engines.base import EngineError, TurnInput


def configured() -> bool:
    """Whether an OpenTelemetry SDK collects spans. Loads nothing: an SDK that is not loaded cannot be set up."""
    if "opentelemetry.sdk" not in sys.modules:
        return False
    from opentelemetry import trace

    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider | trace.NoOpTracerProvider)


@contextmanager
def joined(trace_id: str | None) -> Iterator[None]:
    """Lets spans belong to the turn's trace, unless a span is already open around us."""
    if not configured() or not _valid(trace_id):
        yield
        return
    from opentelemetry import context, trace

    if trace.get_current_span().get_span_context().is_valid:
        yield
        return
    parent = trace.SpanContext(
        trace_id=int(trace_id or "", 16),
        span_id=int.from_bytes(secrets.token_bytes(8)) or 1,
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(parent)))
    try:
        yield
    finally:
        context.detach(token)


@contextmanager
def endpoint_turn(turn: TurnInput, url: str) -> Iterator[None]:
    """The span of a turn that an endpoint answers: `invoke_agent`, without what was said."""
    if not configured():
        yield
        return
    from opentelemetry import trace

    parts = urlsplit(url)
    attributes: dict[str, str | int] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": turn.agent,
        "gen_ai.conversation.id": turn.conversation,
        "server.address": parts.hostname or "",
    }
    if parts.port is not None:
        attributes["server.port"] = parts.port
    tracer = trace.get_tracer_provider().get_tracer("switchboard.engines")
    with (
        joined(turn.trace_id),
        tracer.start_as_current_span(
            f"invoke_agent {turn.agent}",
            kind=trace.SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span,
    ):
        try:
            yield
        except BaseException as error:
            kind = error.kind if isinstance(error, EngineError) else type(error).__name__
            span.set_attribute("error.type", kind)
            span.set_status(trace.Status(trace.StatusCode.ERROR, kind))
            raise


def headers(turn: TurnInput) -> dict[str, str]:
    """W3C Trace Context (https://www.w3.org/TR/trace-context/) that joins the other side's spans to the turn's."""
    if configured():
        from opentelemetry import propagate, trace

        if trace.get_current_span().get_span_context().is_valid:
            carrier: dict[str, str] = {}
            propagate.inject(carrier)
            return carrier
    if not _valid(turn.trace_id):
        return {}
    return {"traceparent": f"00-{turn.trace_id}-{secrets.token_hex(8)}-01"}


def _valid(trace_id: str | None) -> bool:
    return (
        trace_id is not None
        and len(trace_id) == 32
        and all(c in "0123456789abcdef" for c in trace_id)
        and bool(trace_id.strip("0"))
    )
