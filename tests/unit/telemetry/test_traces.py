"""What spans say, and what they keep to themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from switchboard.telemetry import traces

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(traces, "_provider", [provider])
    yield exporter
    provider.shutdown()


def test_spans_of_a_message_share_its_trace(spans: InMemorySpanExporter) -> None:
    with traces.span("turn", TRACE, {"switchboard.execution": "c-1-1"}), traces.span("send", TRACE, {}):
        pass
    traces.mark("receive", TRACE, 0.5, {})
    send, turn, receive = spans.get_finished_spans()
    assert {format(span.context.trace_id, "032x") for span in (send, turn, receive)} == {TRACE}
    assert send.parent is not None
    assert send.parent.span_id == turn.context.span_id
    assert dict(turn.attributes or {}) == {"switchboard.execution": "c-1-1"}
    assert (receive.end_time or 0) - (receive.start_time or 0) == pytest.approx(500_000_000)


def test_an_errors_type_is_told_and_its_text_is_not(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="4155550100"), traces.span("turn", TRACE, {}):
        raise ValueError("+14155550100 with the key hunter2")
    [span] = spans.get_finished_spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError")
    told = span.to_json()
    assert "4155550100" not in told
    assert "hunter2" not in told


@pytest.mark.parametrize("trace", [None, "", "not hexadecimal"])
def test_what_has_no_trace_begins_one(spans: InMemorySpanExporter, trace: str | None) -> None:
    with traces.span("turn", trace, {}):
        pass
    [span] = spans.get_finished_spans()
    assert span.parent is None
