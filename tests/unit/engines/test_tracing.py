"""Spans and trace headers of turns that an endpoint answers."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from tests.unit.engines.turns import turn

from switchboard.engines import EngineRefused, tracing

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_without_opentelemetry_a_turn_s_trace_is_handed_on_all_the_same() -> None:
    assert not tracing.configured()
    with tracing.endpoint_turn(turn("hi", trace_id=TRACE), "http://agent"), tracing.joined(TRACE):
        assert tracing.headers(turn("hi", trace_id=TRACE))["traceparent"].startswith(f"00-{TRACE}-")
    for none in (None, "", "0" * 32, "x" * 32, TRACE.upper()):
        assert tracing.headers(turn("hi", trace_id=none)) == {}


def test_a_turn_is_one_span_in_its_trace_and_its_requests_name_it(spans: InMemorySpanExporter) -> None:
    asked = turn("the word xyzzy", trace_id=TRACE)
    with tracing.endpoint_turn(asked, "http://token@agent.acme:8080/turn?key=secret"):
        header = tracing.headers(asked)["traceparent"]
    (span,) = spans.get_finished_spans()
    assert span.context is not None
    assert header == f"00-{TRACE}-{span.context.span_id:016x}-01"
    assert (span.name, span.kind) == ("invoke_agent support", SpanKind.CLIENT)
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "support",
        "gen_ai.conversation.id": "conv-1",
        "server.address": "agent.acme",
        "server.port": 8080,
    }


def test_a_turn_that_fails_says_how_and_no_more(spans: InMemorySpanExporter) -> None:
    with pytest.raises(EngineRefused), tracing.endpoint_turn(turn("hi"), "http://agent"):
        raise EngineRefused("EndpointRefused", "words of the other side")
    (span,) = spans.get_finished_spans()
    assert (span.attributes or {})["error.type"] == "EndpointRefused"
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "EndpointRefused")
    assert span.events == ()
