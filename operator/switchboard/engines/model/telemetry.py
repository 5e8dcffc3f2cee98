"""OpenTelemetry of model runs, by its GenAI conventions (https://opentelemetry.io/docs/specs/semconv/gen-ai/)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context, trace
from pydantic_ai.capabilities import Instrumentation
from pydantic_ai.models.instrumented import InstrumentationSettings

CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""OpenTelemetry's own switch: `true` adds what was said to the spans. Off by default."""


def instrumentation() -> list[Instrumentation]:
    """What adds spans and metrics to a run; nothing where no OpenTelemetry SDK is set up."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return []
    content = os.environ.get(CONTENT, "").lower() == "true"
    return [
        Instrumentation(
            InstrumentationSettings(
                include_content=content, include_binary_content=False, include_model_request_parameters=content
            )
        )
    ]


@contextmanager
def joined(trace_id: str | None) -> Iterator[None]:
    """Lets spans belong to the turn's trace, unless one is already open around us."""
    if trace_id is None or trace.get_current_span().get_span_context().is_valid or not _valid(trace_id):
        yield
        return
    parent = trace.SpanContext(
        trace_id=int(trace_id, 16),
        span_id=int.from_bytes(secrets.token_bytes(8)) or 1,
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(parent)))
    try:
        yield
    finally:
        context.detach(token)


def _valid(trace_id: str) -> bool:
    return len(trace_id) == 32 and all(c in "0123456789abcdef" for c in trace_id) and bool(trace_id.strip("0"))
