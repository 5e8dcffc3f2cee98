"""With real pods: a revision serves once it is available, one that fails says why, credentials roll without a gap."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from switchboard.kube import resources
from switchboard.sandbox.stack import condition
from switchboard.sandbox.twilio.control_models import AccountChange

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

ONE_POD = {"webhook": {"replicas": 1}}


async def test_a_revision_whose_check_fails_says_why_and_leaves_the_old_one_live(desk: Any) -> None:
    await desk.agent(connectors=(), template={"name": "v1"})
    await desk.agent_says("Serving")
    rules = {"script": {"rules": [{"match": "(unclosed", "reply": "x"}], "fallback": "y"}}
    await desk.agent(connectors=(), template={"name": "v2", "engine": rules, **ONE_POD})
    agent = await desk.agent_says("RevisionFailed")
    said = condition(agent, "Ready")["message"]
    assert "support-v2: The check before its start failed:" in said
    assert "(unclosed" in said
    assert "support-v1 goes on serving" in said
    assert condition(agent, "Stalled")["status"] == "True"
    assert agent["status"]["liveRevision"] == "support-v1"
    revision = await desk.get(resources.AGENT_REVISIONS, "support-v2")
    assert revision["status"]["state"] == "Failed"


async def test_a_first_revision_is_routed_to_before_it_is_ready_and_connected_only_then(desk: Any) -> None:
    await desk.secret()
    await desk.connector()
    rules = {"script": {"rules": [{"match": "(unclosed", "reply": "x"}], "fallback": "y"}}
    await desk.agent(template={"name": "v1", "engine": rules, **ONE_POD})
    agent = await desk.agent_says("RevisionFailed")
    assert "liveRevision" not in agent["status"]
    service = await desk.get(resources.SERVICES, "support-webhook")
    assert service["spec"]["selector"]["switchboard.dev/revision"] == "support-v1"
    await desk.says("WaitingForAgent")
    assert "user:pass@old" in (await desk.at_twilio()).sms_url
    await desk.agent(template={"name": "v2", **ONE_POD})
    await desk.connected()
    service = await desk.get(resources.SERVICES, "support-webhook")
    assert service["spec"]["selector"]["switchboard.dev/revision"] == "support-v2"


@pytest.mark.calm("what comes later than a moment after the rest is not waited for")
async def test_an_agent_that_comes_before_its_connector_and_its_secret_is_rolled_out_once(desk: Any) -> None:
    await desk.agent(template={"name": "v1"})
    await desk.connector()
    await desk.secret()
    await desk.connected()
    deployment = await desk.get(resources.DEPLOYMENTS, "support-v1")
    assert deployment["metadata"]["generation"] == 1
    assert "connectors/sms/authToken" in str(deployment["spec"]["template"])


async def test_a_new_revision_serves_once_its_pods_are_ready_and_the_old_one_drains(desk: Any) -> None:
    await desk.secret()
    await desk.connector()
    await desk.agent(template={"name": "v1", **ONE_POD})
    await desk.connected()
    await desk.agent(template={"name": "v2", "turn": {"maxAttempts": 2}, **ONE_POD})
    await desk.until(resources.AGENTS, "support", lambda it: it["status"].get("liveRevision") == "support-v2")
    revision = await desk.until(
        resources.AGENT_REVISIONS, "support-v1", lambda it: it["status"].get("state") == "Standby"
    )
    assert revision["status"]["drain"] == {"revision": "support-v2", "working": 0}
    assert await desk.get(resources.DEPLOYMENTS, "support-v1") is None
    assert (await desk.connected())["status"]["agent"] == "support"


async def test_rotated_credentials_are_checked_rolled_out_and_told(desk: Any) -> None:
    await desk.secret()
    await desk.connector()
    await desk.agent(template={"name": "v1", **ONE_POD})
    await desk.connected()
    await desk.until(resources.TWILIO_CONNECTORS, "sms", lambda it: "credentialsVersion" in it["status"])
    before = await desk.get(resources.DEPLOYMENTS, "support-v1")
    token = secrets.token_hex(16)
    await desk.control.change_account(desk.account, AccountChange(auth_token=token))
    await desk.secret(authToken=token, previousAuthToken=desk.token)
    [event] = await desk.event("CredentialsRolledOut")
    assert event["involvedObject"]["name"] == "sms"
    after = await desk.get(resources.DEPLOYMENTS, "support-v1")
    checksum = ("spec", "template", "metadata", "annotations", "switchboard.dev/checksum")
    old, new = before, after
    for key in checksum:
        old, new = old[key], new[key]
    assert old != new
    assert after["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    await desk.connected()
