"""A pod's life: ready, stopped, superseded, started after an outage, or refusing to start."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import sys
from collections.abc import Callable

import aiohttp
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.integration.webhook.conftest import MakeRig
from tests.integration.webhook.rig import Rig, environment, verdicts
from tests.integration.webhook.test_answering import _shown, agent

from switchboard.kube.resources import AGENT_REVISIONS
from switchboard.sandbox.processes import tail
from switchboard.sandbox.twilio.control_models import AccountChange, MediaSpec

pytestmark = pytest.mark.cluster
Number = Callable[[], str]
COMMAND = [sys.executable, "-m", "switchboard", "webhook"]


async def status(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def test_a_pod_is_alive_at_once_and_ready_when_it_knows_who_it_serves(make_rig: MakeRig, number: Number) -> None:
    rig = await make_rig()
    pod = await rig.start()
    assert (await status(pod.health + "/livez"))[0] == 200
    await pod.ready()
    code, metrics = await status(pod.health + "/metrics")
    assert code == 200
    assert "switchboard_revision_live 1.0" in metrics
    assert (await status(pod.url + "/metrics"))[0] == 404


async def test_sigterm_lets_a_running_turn_end_and_takes_no_other(make_rig: MakeRig, number: Number) -> None:
    async with agent() as bot:
        rig = await make_rig(engine=bot.engine())
        pod = await rig.start()
        ann, bob = number(), number()
        await rig.text(ann, "one", wait=True)
        await bot.turn()
        pod.process.signal(signal.SIGTERM)
        await rig.until(lambda: _stopping(pod.process.log))
        rig.leave(pod)
        await rig.start()
        bot.say("to one")
        assert await asyncio.wait_for(pod.process.ended(), 20) == 0, tail(pod.process.log)
        assert (await rig.phone(ann, 1))[0].body == "to one"
        await rig.text(bob, "two", wait=True)
        await bot.turn()
        bot.say("to two")
        await rig.phone(bob, 1)
    assert len(await rig.executions()) == 2


async def _stopping(log: object) -> bool:
    return '"message": "stopping"' in tail(log, 200)  # type: ignore[arg-type]


async def test_a_superseded_revision_hands_over_and_says_when_it_has_nothing_left(
    make_rig: MakeRig, number: Number
) -> None:
    async with agent() as bot:
        rig = await make_rig(engine=bot.engine())
        await rig.start("support-v1")
        ann, bob = number(), number()
        await rig.text(ann, "one", wait=True)
        await bot.turn()
        await rig.start("support-v2")
        await rig.promote("support-v2")
        await rig.until(lambda: _drained(rig, 1))
        await rig.text(bob, "two", wait=True)
        second = await bot.turn()
        bot.say("done")
        bot.say("done")
        await rig.until(lambda: _drained(rig, 0))
        await rig.text(ann, "three", wait=True)
        third = await bot.turn()
        bot.say("done")
        await rig.phone(ann, 2)
        await rig.phone(bob, 1)
    assert (second["revision"], third["revision"]) == ("support-v2", "support-v2")


async def _drained(rig: Rig, working: int) -> bool:
    revision = await rig.api.get(AGENT_REVISIONS, "support-v1", rig.namespace)
    return bool(revision.get("status", {}).get("drain") == {"revision": "support-v2", "working": working})


async def test_what_twilio_took_while_no_pod_ran_is_answered_in_order(make_rig: MakeRig, number: Number) -> None:
    rig = await make_rig(settings=environment(settling_seconds=0, backfill_seconds=0.2))
    ann = number()
    for word in ("one", "two", "three"):
        await rig.text(ann, f"echo {word}", times=0)
    await rig.text(ann, "echo four", channel="WhatsApp", media=[MediaSpec(content="aGVsbG8=")], times=0)
    pods = [await rig.start(), await rig.start()]
    inbound = await rig.settled(4)
    texts = [one["spec"]["body"] for one in inbound if one["spec"]["channel"] == "SMS"]
    assert texts == [f"echo {word}" for word in ("one", "two", "three")]
    [whatsapp] = [one for one in inbound if one["spec"]["channel"] == "WhatsApp"]
    assert whatsapp["spec"]["media"][0]["contentType"] == "image/png"
    text = "\n".join([item.body for item in await rig.phone(ann, 2)])
    await rig.until(lambda: _shown(rig, ann, "You said four"))
    assert text.index("one") < text.index("two") < text.index("three")
    found = [await pod.metrics() for pod in pods]
    name = 'switchboard_backfilled_messages_total{connector="sms",state="Waiting"}'
    assert sum(metrics.get(name, 0) for metrics in found) == 4


async def test_what_twilio_gave_up_on_just_before_a_pod_started_is_not_left_to_the_interval(
    make_rig: MakeRig, number: Number
) -> None:
    rig = await make_rig(settings=environment(settling_seconds=1, lease_seconds=1.5))
    first = await rig.start()
    ann = number()
    await rig.text(ann, "echo one")
    assert (await rig.phone(ann, 1))[0].body == "You said one"
    await rig.until(lambda: rig.messages("Outbound", "Sent"))  # else it is in doubt, and the next waits for that
    first.kill()
    await rig.text(ann, "echo two", times=0)
    await rig.start()
    assert (await rig.phone(ann, 2))[1].body == "You said two"


async def test_what_is_found_too_late_is_kept_and_not_answered(make_rig: MakeRig, number: Number) -> None:
    rig = await make_rig(settings=environment(settling_seconds=0, backfill_seconds=0.2, missed_seconds=0.001))
    ann = number()
    await rig.text(ann, "hi", times=0)
    await rig.start()
    await rig.settled(1, "Missed")
    assert await rig.executions() == []


async def test_what_was_refused_for_a_stale_token_is_found_at_twilio(make_rig: MakeRig, number: Number) -> None:
    rig = await make_rig(settings=environment(settling_seconds=0.2))
    pod = await rig.start()
    ann = number()
    changed = await rig.twilio.change_account(rig.account, AccountChange(auth_token="e" * 32))
    refused = await rig.text(ann, "hi", wait=True)
    assert verdicts(refused) == {403}
    rig.write_secret(authToken=changed.auth_token)
    assert (await rig.phone(ann, 1))[0].body == "Hello!", tail(pod.process.log)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"revision": None}, "revision"),
        ({"template": {"engine": {"script": {"rules": [{"match": "(", "reply": "x"}]}}}}, "rules[0].match"),
        ({"conversationLog": {"backend": "Postgres"}}, "conversationLog"),
    ],
)
async def test_a_revision_that_cannot_serve_says_why_in_one_sentence(
    make_rig: MakeRig, change: dict[str, object], named: str
) -> None:
    rig = await make_rig()
    await rig.start()
    config = rig.directory / "support-v1.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    termination = rig.directory / "termination"
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "check", env={**os.environ, **environment(config=config, termination_log=termination)}
    )
    assert await process.wait() == 1
    [sentence] = termination.read_text().splitlines()
    assert named in sentence


async def test_where_traces_are_wanted_one_trace_leads_from_the_webhook_to_twilio(
    make_rig: MakeRig, number: Number
) -> None:
    spans: list[Span] = []

    async def collect(request: web.BaseRequest) -> web.Response:
        body = (
            gzip.decompress(await request.read()) if request.headers.get("Content-Encoding") else await request.read()
        )
        for one in ExportTraceServiceRequest.FromString(body).resource_spans:
            spans.extend(span for scope in one.scope_spans for span in scope.spans)
        return web.Response()

    runner = web.ServerRunner(web.Server(collect), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    rig = await make_rig()
    endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    pod = await rig.start(environment={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"})
    ann = number()
    await rig.text(ann, "hi")
    await rig.phone(ann, 1)
    [message] = await rig.settled(1)
    await rig.until(lambda: _spans(spans, {"receive", "turn", "send"}))
    trace = message["metadata"]["name"].removeprefix("in-")
    assert {span.trace_id.hex() for span in spans} == {trace}
    assert [one["status"]["traceId"] for one in await rig.executions()] == [trace]
    assert ann not in str(spans)
    await pod.process.stop()
    await runner.cleanup()


async def _spans(spans: list[Span], names: set[str]) -> bool:
    return names <= {span.name for span in spans}
