"""How much of a conversation an engine is told, and how it is told to a model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai.messages import ModelRequest, ModelResponse, ToolCallPart, ToolReturnPart, UserPromptPart
from tests.unit.engines.turns import NOW

from switchboard.api.conversation import Step
from switchboard.engines import Media, Said, history
from switchboard.engines.model import messages

TEXTS = st.text(alphabet="ab ", max_size=30)
STEPS = st.builds(
    Step,
    kind=st.sampled_from(["ToolCall", "ModelRequest", "EndpointRequest"]),
    name=st.sampled_from(["orders_status", "gone_tool", "orders_cancel", "x"]),
    arguments=st.sampled_from([None, "{}", '{"number": 1}', '{"number": 1', "[1]", "7"]),
    result=st.none() | TEXTS,
    error=st.none() | st.just("failed"),
)
SAID = st.builds(
    Said,
    by_contact=st.booleans(),
    text=TEXTS,
    time=st.just(NOW),
    media=st.lists(st.just(Media("image/png", "https://x", b"png")), max_size=2),
    steps=st.lists(STEPS, max_size=4),
)
CONVERSATION = st.lists(SAID, max_size=20)


@given(CONVERSATION, st.integers(0, 25), st.integers(0, 300))
def test_a_bounded_history_is_the_latest_part_that_fits_each_message_whole(
    said: list[Said], count: int, characters: int
) -> None:
    kept = history.bound(said, messages=count, characters=characters)
    assert kept == said[len(said) - len(kept) :]
    assert len(kept) <= count
    assert sum(map(history.size, kept)) <= characters
    if len(kept) < len(said):
        assert not kept or kept[0].by_contact
        # No more would have fitted: one further message breaks a bound, or only answers without a question are left.
        left = said[: len(said) - len(kept)]
        for more in range(1, len(left) + 1):
            longer = said[len(left) - more :]
            if len(longer) > count or sum(map(history.size, longer)) > characters:
                break
            assert not longer[0].by_contact


@given(CONVERSATION)
def test_a_history_that_fits_is_kept_as_it_is(said: list[Said]) -> None:
    assert history.bound(said, messages=1000, characters=1_000_000) == said


@given(CONVERSATION)
def test_a_model_is_told_alternating_words_and_every_call_with_its_result(said: list[Said]) -> None:
    told = messages.history(said, ["orders_"])
    assert all(isinstance(one, ModelRequest if index % 2 == 0 else ModelResponse) for index, one in enumerate(told))
    calls: list[str] = []
    for one in told:
        assert one.parts
        for part in one.parts:
            if isinstance(part, ToolCallPart):
                assert part.tool_name.startswith("orders_")
                assert isinstance(part.args, dict)
                calls.append(part.tool_call_id)
            if isinstance(part, ToolReturnPart):
                assert calls.pop(0) == part.tool_call_id
    assert calls == []
    asked = [part.content for one in told for part in one.parts if isinstance(part, UserPromptPart)]
    assert len(asked) == sum(one.by_contact for one in said)


@given(CONVERSATION)
def test_calls_of_tools_that_are_no_longer_offered_are_left_out(said: list[Said]) -> None:
    told = messages.history(said, [])
    assert not any(isinstance(part, ToolCallPart | ToolReturnPart) for one in told for part in one.parts)
