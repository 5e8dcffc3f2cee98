"""OpenTelemetry of model runs, by its GenAI conventions (https://opentelemetry.io/docs/specs/semconv/gen-ai/)."""

from __future__ import annotations

import os

from pydantic_ai.capabilities import Instrumentation
from pydantic_ai.models.instrumented import InstrumentationSettings

from switchboard.engines import tracing

CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""OpenTelemetry's own switch: `true` adds what was said to the spans. Off by default."""


def instrumentation() -> list[Instrumentation]:
    """What adds spans and metrics to a run; nothing where no OpenTelemetry SDK is set up."""
    if not tracing.configured():
        return []
    content = os.environ.get(CONTENT, "").lower() == "true"
    return [
        Instrumentation(
            InstrumentationSettings(
                include_content=content, include_binary_content=False, include_model_request_parameters=content
            )
        )
    ]
