"""`engine.model` with pydantic-ai's own test models: what the model is told, and what is kept of a run."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.profiles import ModelProfile
from tests.unit.engines.turns import NOW, turn

from switchboard.api.engine import ModelEngine as Spec
from switchboard.engines import EngineUnavailable, Media, Said
from switchboard.engines.model import messages, telemetry
from switchboard.engines.model.engine import ModelEngine
from switchboard.engines.model.providers import Built
from switchboard.engines.steps import STEPS_MAX, Stopwatch, bounded
from switchboard.engines.texts import Redactor, sayable

Answering = Callable[[list[ModelMessage], AgentInfo], ModelResponse]


class NoClient:
    """A provider's client without connections; counts how often it was closed."""

    closed = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> None:
        self.closed += 1


def engine(answering: Answering, **fields: Any) -> ModelEngine:
    def factory(spec: Spec, key: str | None) -> Built:
        return Built(cast("Model", FunctionModel(answering)), cast("Any", NoClient()))

    spec = Spec.model_validate({"name": "vllm:x", "baseURL": "http://vllm/v1"} | fields)
    return ModelEngine(spec, Path("/nowhere"), factory=factory)


def repeat(told: list[str]) -> Answering:
    def answer(history: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        told.append(info.instructions or "")
        return ModelResponse(parts=[TextPart(" done ")])

    return answer


async def test_the_model_is_told_name_channel_connector_and_time_after_its_own_instructions() -> None:
    told: list[str] = []
    answer = await engine(repeat(told), instructions="Be kind.").answer(
        turn("hi", contact_name="Ann", channel="WhatsApp")
    )
    assert answer.text == "done"
    (text,) = told
    assert text.startswith("Be kind.\n\nAbout this conversation")
    for known in ("WhatsApp", '"Ann"', "production-sms", "2026-11-22T12:00:00+00:00 (Sunday)"):
        assert known in text
    assert "+15005550006" not in text


@given(st.text(max_size=300))
def test_a_contact_s_name_cannot_leave_its_line(name: str) -> None:
    text = messages.context(turn("hi", contact_name=name))
    lines = text.split("\n")
    assert len(lines) == 5
    assert text.splitlines() == lines
    assert len(lines[2]) < 400


def test_media_are_shown_to_models_that_take_them() -> None:
    blind = ModelProfile(supports_image_input=False, supports_document_input=False)
    for content_type, seen, unseen in [
        ("image/png", True, False),
        ("application/pdf", True, False),
        ("application/zip", False, False),
        ("text/x-vcard", False, False),
    ]:
        assert messages.takes(ModelProfile(), content_type) is seen
        assert messages.takes(blind, content_type) is unseen
    media = [Media("image/png", "https://x", b"png")]
    content = messages.prompt(turn(messages=[Said(by_contact=True, text="", time=NOW, media=media)]), blind)
    assert content == ["[attachment: image/png, not shown]"]


async def test_a_model_that_says_nothing_is_asked_again_and_then_unavailable() -> None:
    asked: list[int] = []

    def silent(history: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.append(len(history))
        return ModelResponse(parts=[])

    with pytest.raises(EngineUnavailable) as raised:
        await engine(silent).answer(turn("hi"))
    assert raised.value.kind == "UnexpectedModelBehavior"
    assert len(asked) > 1
    assert len(raised.value.steps) == len(asked)


async def test_a_bug_of_ours_is_not_dressed_as_the_model_s() -> None:
    def broken(history: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        await engine(broken).answer(turn("hi"))


async def test_turns_of_several_conversations_run_at_once() -> None:
    both = asyncio.Barrier(2)

    async def wait(history: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await both.wait()
        return ModelResponse(parts=[TextPart("done")])

    made = engine(cast("Answering", wait))
    async with asyncio.timeout(10):
        answers = await asyncio.gather(made.answer(turn("a")), made.answer(turn("b", conversation="conv-2")))
    assert [answer.text for answer in answers] == ["done", "done"]


async def test_a_model_in_use_is_closed_only_when_its_last_turn_ends(tmp_path: Path) -> None:
    clients: list[NoClient] = []
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def wait(history: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        entered.set()
        await go_on.wait()
        return ModelResponse(parts=[TextPart("done")])

    def factory(spec: Spec, key: str | None) -> Built:
        clients.append(NoClient())
        return Built(cast("Model", FunctionModel(wait)), cast("Any", clients[-1]))

    (tmp_path / "engine").mkdir()
    key = tmp_path / "engine" / "api-key"
    key.write_text("first-key")
    spec = Spec.model_validate({"name": "openai:x", "apiKey": {"secretRef": {"name": "a", "key": "b"}}})
    made = ModelEngine(spec, tmp_path, factory=factory)
    running = asyncio.create_task(made.answer(turn("a")))
    await entered.wait()
    key.write_text("a-second-key")
    await made.check()
    assert [client.closed for client in clients] == [0, 0]
    go_on.set()
    await running
    assert [client.closed for client in clients] == [1, 0]
    await made.close()
    await made.close()
    assert [client.closed for client in clients] == [1, 1]


async def test_a_key_that_was_written_anew_unchanged_builds_no_new_model(tmp_path: Path) -> None:
    keys: list[str | None] = []

    def factory(spec: Spec, key: str | None) -> Built:
        keys.append(key)
        return Built(cast("Model", FunctionModel(repeat([]))), cast("Any", NoClient()))

    (tmp_path / "engine").mkdir()
    key = tmp_path / "engine" / "api-key"
    spec = Spec.model_validate({"name": "openai:x", "apiKey": {"secretRef": {"name": "a", "key": "b"}}})
    made = ModelEngine(spec, tmp_path, factory=factory)
    for number, content in enumerate(["same-key", "same-key\n", "another-key"]):
        (tmp_path / "new").write_text(content)
        (tmp_path / "new").replace(key)
        await made.answer(turn(str(number)))
    assert keys == ["same-key", "another-key"]


def test_a_text_is_told_without_what_was_read_from_secrets() -> None:
    redactor = Redactor(["Bearer abcdefghij", "short"])
    assert redactor.clean("got abcdefghij and Bearer abcdefghij, short\x00") == "got ••• and •••, short"
    assert len(redactor.clean("x" * 5000)) == 1024


@given(st.lists(st.sampled_from(["secret-value-1", "another-secret", "x", "words "]), max_size=60), st.integers(1, 60))
def test_no_part_of_a_secret_is_told_wherever_the_text_is_cut(pieces: list[str], limit: int) -> None:
    told = Redactor(["secret-value-1", "another-secret"]).clean("".join(pieces), limit)
    assert len(told) <= limit
    assert "sec" not in told
    assert "ano" not in told


@given(st.text(st.characters()), st.integers(1, 50))
def test_whatever_an_agent_says_can_be_kept_and_sent(text: str, limit: int) -> None:
    said = sayable(text, limit)
    said.encode()
    assert len(said) <= limit
    assert not any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" for c in said)
    assert sayable("a\nb\tc ü 😀", 100) == "a\nb\tc ü 😀"


def test_an_execution_keeps_the_first_and_the_last_of_too_many_steps() -> None:
    steps = [Stopwatch().step("ToolCall", str(number), result="x" * 5000) for number in range(250)]
    kept = bounded(steps)
    assert len(kept) == STEPS_MAX
    assert (kept[0].name, kept[49].name, kept[50].name, kept[-1].name) == ("0", "49", "200", "249")
    assert len(kept[0].result or "") == 4096


@pytest.mark.parametrize("content", [False, True])
async def test_spans_follow_the_genai_conventions_and_hold_no_words_unless_asked_to(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, content: bool
) -> None:
    if content:
        monkeypatch.setenv(telemetry.CONTENT, "true")
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    await engine(repeat([]), instructions="Guard the word xyzzy.").answer(turn("plugh", trace_id=trace_id))
    finished = spans.get_finished_spans()
    operations = {(span.attributes or {}).get("gen_ai.operation.name") for span in finished}
    assert {"chat", "invoke_agent"} <= operations
    assert {span.context.trace_id for span in finished if span.context} == {int(trace_id, 16)}
    told = " ".join(str(dict(span.attributes or {})) + str(span.events) for span in finished)
    assert ("xyzzy" in told, "plugh" in told) == (content, content)


async def test_without_opentelemetry_nothing_is_instrumented() -> None:
    assert telemetry.instrumentation() == []
