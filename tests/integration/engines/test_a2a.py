"""`engine.endpoint` with protocol A2A against agents of protocol 0.3 and 1.0."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.integration.engines.conftest import Make, Secrets, Server, Start
from tests.unit.engines.turns import NOW, said, turn

from switchboard.api.engine import Engine as Spec
from switchboard.engines import Answer, EngineMisconfigured, EngineRefused, EngineUnavailable, Media, Said
from switchboard.engines.endpoint import a2a


def agent(server: Server, path: str = "/a2a/support", **fields: Any) -> Spec:
    return Spec.model_validate({"endpoint": {"url": server.url + path} | fields})


@pytest.fixture(params=["0.3", "1.0"])
def version(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(a2a, "POLL_SECONDS", (0.001, 0.01))


def after(answer: Answer) -> Said:
    return Said(by_contact=False, text=answer.text, time=NOW, steps=answer.steps)


async def test_a_message_is_answered_in_the_conversation_s_context(start: Start, make: Make, version: str) -> None:
    server = await start("a2a_stub", version)
    made = make(agent(server))
    answer = await made.answer(turn("hello", contact_name="Ann"))
    assert answer.text == "heard hello in conv-1"
    assert [step.name for step in answer.steps] == ["SendMessage" if version == "1.0" else "message/send"]
    assert answer.steps[0].result == answer.text
    (asked,) = await server.requests()
    message = asked["json"]["params"]["message"]
    assert message["messageId"] == "exe-1"
    assert message["role"] == ("ROLE_USER" if version == "1.0" else "user")
    assert message["metadata"]["switchboard.dev/contact"] == "+15005550006"
    assert message["metadata"]["switchboard.dev/contactName"] == "Ann"
    assert asked["headers"].get("a2a-version") == ("1.0" if version == "1.0" else None)


async def test_a_task_is_polled_until_it_is_done(start: Start, make: Make, version: str) -> None:
    server = await start("a2a_stub", version)
    answer = await make(agent(server)).answer(turn("slow 3", execution=f"exe-slow-{version}"))
    assert answer.text == "done 3"
    methods = [asked["json"]["method"] for asked in await server.requests()]
    assert methods == (["SendMessage"] + ["GetTask"] * 3 if version == "1.0" else ["message/send"] + ["tasks/get"] * 3)
    assert answer.usage.requests == 1 + 4


async def test_a_further_attempt_looks_at_the_task_instead_of_asking_again(
    start: Start, make: Make, version: str
) -> None:
    server = await start("a2a_stub", version)
    made = make(agent(server))
    execution = f"exe-again-{version}"
    with pytest.raises(EngineUnavailable) as raised:
        await made.answer(turn("slow 100000", execution=execution, timeout_seconds=0.3))
    assert raised.value.kind == "Timeout"
    assert raised.value.steps
    await server.forget()
    with pytest.raises(EngineUnavailable):
        await made.answer(turn("slow 100000", execution=execution, attempt=2, timeout_seconds=0.3))
    methods = {asked["json"]["method"] for asked in await server.requests()}
    assert methods == {"GetTask" if version == "1.0" else "tasks/get"}


async def test_a_cancelled_turn_cancels_its_task(start: Start, make: Make, version: str) -> None:
    server = await start("a2a_stub", version)
    made = make(agent(server))
    running = asyncio.create_task(made.answer(turn("slow 100000", execution=f"exe-cancel-{version}")))
    while len(await server.requests()) < 2:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    last = (await server.requests())[-1]["json"]
    assert last["method"] == ("CancelTask" if version == "1.0" else "tasks/cancel")
    assert last["params"] == {"id": f"task-exe-cancel-{version}"}


async def test_a_task_that_asks_for_more_is_continued_by_the_next_message(
    start: Start, make: Make, version: str
) -> None:
    server = await start("a2a_stub", version)
    made = make(agent(server))
    asking = await made.answer(turn("input-required which order?"))
    assert asking.text == "which order?"
    history = [said("input-required"), after(asking)]
    answer = await made.answer(turn("order 7", execution="exe-2", history=history))
    assert answer.text == "task-exe-1 continues: order 7"
    history += [said("order 7"), after(answer)]
    assert (await made.answer(turn("thanks", execution="exe-3", history=history))).text == "heard thanks in conv-1"


async def test_a_forgotten_task_is_begun_anew(start: Start, make: Make, version: str) -> None:
    server = await start("a2a_stub", version)
    made = make(agent(server))
    asking = await made.answer(turn("input-required which?"))
    kept = json.loads(asking.steps[-1].arguments or "")
    step = asking.steps[-1].model_copy(update={"arguments": json.dumps(kept | {"taskId": "task-gone"})})
    history = [said("?"), Said(by_contact=False, text="which?", time=NOW, steps=[step])]
    assert (await made.answer(turn("seven", history=history))).text == "heard seven in conv-1"


async def test_a_context_that_the_agent_chose_is_kept(start: Start, make: Make, version: str) -> None:
    server = await start("a2a_stub", version)
    made = make(agent(server))
    first = await made.answer(turn("own"))
    assert first.text == "with my own context"
    # Another process answers the next turn: what it needs stands in the log.
    answer = await make(agent(server)).answer(turn("again", history=[said("own"), after(first)]))
    assert answer.text == "heard again in agents-own-context"


@pytest.mark.parametrize(
    ("word", "error", "kind"),
    [
        ("failed", EngineUnavailable, "TaskFailed"),
        ("rejected", EngineRefused, "TaskRejected"),
        ("canceled", EngineRefused, "TaskCanceled"),
        ("auth-required", EngineRefused, "TaskAuthRequired"),
    ],
)
async def test_a_task_without_an_answer_says_why(
    start: Start, make: Make, version: str, word: str, error: type[Exception], kind: str
) -> None:
    server = await start("a2a_stub", version)
    with pytest.raises(error, match=f"its task ended as {word}: because") as raised:
        await make(agent(server)).answer(turn(f"{word} because"))
    assert raised.value.kind == kind  # type: ignore[attr-defined]


async def test_files_go_to_agents_that_take_them_and_are_named_otherwise(
    start: Start, make: Make, version: str
) -> None:
    server = await start("a2a_stub", version)
    media = [Media("image/png", "https://x/1", b"\x89PNG"), Media("video/mp4", "https://x/2", b"video")]
    answer = await make(agent(server)).answer(
        turn(messages=[Said(by_contact=True, text="look", time=NOW, media=media)])
    )
    assert answer.text == "heard look\n[attachment: video/mp4, not shown] in conv-1 and 1 files"
    (asked,) = await server.requests()
    told = asked["json"]["params"]["message"]["parts"][1]
    assert (told if version == "1.0" else told["file"])["raw" if version == "1.0" else "bytes"] == "iVBORw=="


async def test_headers_never_leave_the_configured_origin(start: Start, make: Make, secrets: Secrets) -> None:
    server = await start("a2a_stub", "0.3")
    secrets("engine/headers/Authorization", "Bearer token")
    answer = await make(agent(server, "/elsewhere", headersSecretRef={"name": "x"})).answer(turn("hi"))
    assert answer.text == "heard hi in conv-1"
    (asked,) = await server.requests()
    assert (asked["path"], asked["headers"]["authorization"]) == ("/elsewhere", "Bearer token")


@pytest.mark.parametrize(
    ("path", "kind", "says"),
    [
        ("/nowhere", "AgentCardMissing", "or set protocol: HTTP"),
        ("/grpc", "A2AUnsupported", "no JSON-RPC interface"),
    ],
)
async def test_what_cannot_be_spoken_to_is_refused(start: Start, make: Make, path: str, kind: str, says: str) -> None:
    server = await start("a2a_stub", "0.3")
    with pytest.raises(EngineMisconfigured, match=says) as raised:
        await make(agent(server, path)).answer(turn("hi"))
    assert raised.value.kind == kind


@pytest.mark.parametrize(
    ("planned", "error", "kind"),
    [
        ({"status": 503, "headers": {"Retry-After": "3"}}, EngineUnavailable, "EndpointUnavailable"),
        ({"status": 200, "body": {"jsonrpc": "2.0", "result": 7}}, EngineRefused, "EndpointAnswerInvalid"),
        (
            {"status": 200, "body": {"jsonrpc": "2.0", "result": {"kind": "task"}}},
            EngineRefused,
            "EndpointAnswerInvalid",
        ),
        ({"status": 200, "body": "hello"}, EngineRefused, "EndpointAnswerInvalid"),
        (
            {"status": 200, "body": {"error": {"code": -32603, "message": "oops"}}},
            EngineUnavailable,
            "EndpointUnavailable",
        ),
        ({"status": 200, "body": {"error": {"code": -32602, "message": "bad"}}}, EngineRefused, "EndpointRefused"),
    ],
)
async def test_answers_outside_the_protocol_are_told_apart(
    start: Start, make: Make, planned: dict[str, Any], error: type[Exception], kind: str
) -> None:
    server = await start("a2a_stub", "0.3")
    await server.plan(planned)
    made = make(agent(server))
    with pytest.raises(error) as raised:
        await made.answer(turn("hi"))
    assert raised.value.kind == kind  # type: ignore[attr-defined]
    assert getattr(raised.value, "retry_after", None) == (3.0 if planned["status"] == 503 else None)
    assert (await made.answer(turn("hi"))).text == "heard hi in conv-1"
