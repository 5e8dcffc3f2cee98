"""OpenTelemetry traces, where the environment asks for them (OTEL_EXPORTER_OTLP_ENDPOINT); nothing is loaded otherwise.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_provider: list[TracerProvider] = []

Attributes = Mapping[str, str | int | float | bool]


class TracesMisconfigured(Exception):
    """Traces are asked for and cannot be sent. The sentence names the variable and the mend."""


def wanted() -> bool:
    """Whether the environment asks for traces."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(os.environ.get(name) for name in _ENDPOINTS)


def configure(service: str) -> None:
    """Sends spans over OTLP (HTTP), if the environment says where to. `service` unless OTEL_SERVICE_NAME names another.

    Raises:
        TracesMisconfigured: the library is not installed.
    """
    if not wanted() or _provider:
        return
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        name = next(name for name in _ENDPOINTS if os.environ.get(name))
        raise TracesMisconfigured(
            f"{name}: traces are asked for, and {error.name} is not installed; "
            "install switchboard-operator[otel], or unset it"
        ) from None
    provider = TracerProvider(
        resource=Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME") or service})
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    _provider.append(provider)


def shut_down() -> None:
    """Sends what is left. Blocks: call it in a thread."""
    while _provider:
        _provider.pop().shutdown()


@contextmanager
def span(name: str, trace_id: str | None, attributes: Attributes) -> Iterator[None]:
    """A span of the trace `trace_id` (32 hexadecimal digits) around the block; nothing where traces are off.

    Of an error it tells the type, and not the text: a library's may hold a number or a key.
    """
    if not _provider:
        yield
        return
    from opentelemetry.trace import StatusCode

    tracer = _provider[0].get_tracer("switchboard")
    with tracer.start_as_current_span(
        name,
        context=_parent(trace_id),
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as begun:
        try:
            yield
        except Exception as error:
            begun.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def mark(name: str, trace_id: str | None, seconds: float, attributes: Attributes) -> None:
    """A span that ends now and began `seconds` ago."""
    if _provider:
        now = time.time_ns()
        tracer = _provider[0].get_tracer("switchboard")
        begun = tracer.start_span(
            name, context=_parent(trace_id), attributes=attributes, start_time=now - int(seconds * 1e9)
        )
        begun.end(now)


def _parent(trace_id: str | None) -> Context | None:
    """A context of this trace: ids come from messages, so that every pod has the same without being told."""
    from opentelemetry import trace

    if not trace_id or trace.get_current_span().get_span_context().is_valid:
        return None
    try:
        number = int(trace_id, 16)
    except ValueError:
        return None
    known = trace.SpanContext(
        trace_id=number,
        span_id=int.from_bytes(secrets.token_bytes(8)) or 1,
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(known))
