"""Whatever an A2A agent sends is understood or refused: nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from switchboard.engines.endpoint.a2a_wire import V03, V10, AgentCard, Message, Remembered, Task, choose

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
KEYS = st.sampled_from(
    [
        "kind",
        "task",
        "message",
        "id",
        "contextId",
        "status",
        "state",
        "parts",
        "text",
        "data",
        "file",
        "url",
        "raw",
        "artifacts",
        "history",
        "role",
        "uri",
    ]
)
WORDS = st.sampled_from(["task", "message", "agent", "completed", "TASK_STATE_FAILED", "input-required", "working"])
ANYTHING = st.recursive(
    SCALARS | WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)


@given(ANYTHING, st.sampled_from([V03, V10]))
def test_any_result_is_a_message_a_task_nothing_or_invalid(result: object, dialect: type[object]) -> None:
    try:
        outcome = dialect.outcome(result)  # type: ignore[attr-defined]
    except ValidationError:
        return
    assert outcome is None or isinstance(outcome, Message | Task)
    if outcome is not None:
        assert isinstance(outcome.text, str)
        kept = Remembered.of(outcome, "conv-1")
        assert Remembered.model_validate_json(kept.model_dump_json(by_alias=True)) == kept


CARD = {"url": "http://agent/a2a", "preferredTransport": "JSONRPC"}
GRPC = {"url": "http://agent", "protocolBinding": "GRPC", "protocolVersion": "1.0"}


@pytest.mark.parametrize(
    ("card", "chosen"),
    [
        (CARD, (V03, "http://agent/a2a")),
        (CARD | {"protocolVersion": "0.2.6"}, (V03, "http://agent/a2a")),
        (CARD | {"protocolVersion": "0.3.0"}, (V03, "http://agent/a2a")),
        (CARD | {"protocolVersion": "2.0"}, None),
        (CARD | {"protocolVersion": "0.1.0"}, None),
        (CARD | {"preferredTransport": "GRPC"}, None),
        (
            CARD
            | {"preferredTransport": "GRPC", "additionalInterfaces": [{"url": "http://b", "transport": "JSONRPC"}]},
            (V03, "http://b"),
        ),
        ({"supportedInterfaces": [GRPC]}, None),
        ({"supportedInterfaces": [GRPC, GRPC | {"url": "http://c", "protocolBinding": "JSONRPC"}]}, (V10, "http://c")),
        (
            CARD
            | {"supportedInterfaces": [{"url": "http://d", "protocolBinding": "JSONRPC", "protocolVersion": "1.1"}]},
            (V10, "http://d"),
        ),
        (CARD | {"supportedInterfaces": [GRPC]}, (V03, "http://agent/a2a")),
        ({}, None),
    ],
)
def test_a_card_says_which_dialect_is_spoken_and_where(card: dict[str, object], chosen: object) -> None:
    assert choose(AgentCard.model_validate(card)) == chosen
