"""Save, deploy, pin, roll back: revisions whose names the commit knows, of which none serves before it is ready."""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.api.runtime import CONTACTS_KEY, CONTACTS_SECRET
from switchboard.kube import resources
from switchboard.sandbox.stack import condition

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]


def script(text: str) -> dict[str, Any]:
    return {"engine": {"script": {"rules": [], "fallback": text}}}


async def live(desk: Any, wanted: str) -> Any:
    """The Agent, once that revision is live and its Service leads there."""
    agent = await desk.until(resources.AGENTS, "support", lambda it: it.get("status", {}).get("liveRevision") == wanted)
    service = await desk.get(resources.SERVICES, "support-webhook")
    assert service["spec"]["selector"]["switchboard.dev/revision"] == wanted
    return agent


async def names(desk: Any) -> set[str]:
    return {it["metadata"]["name"] for it in await desk.list(resources.AGENT_REVISIONS)}


async def standby(desk: Any, name: str) -> Any:
    return await desk.until(resources.AGENT_REVISIONS, name, lambda it: it.get("status", {}).get("state") == "Standby")


async def test_a_named_template_is_saved_under_the_name_that_the_commit_gives(desk: Any) -> None:
    await desk.agent(connectors=(), template={"name": "v1"})
    await live(desk, "support-v1")
    assert await names(desk) == {"support-v1"}


async def test_an_unnamed_template_is_saved_under_its_content(desk: Any) -> None:
    await desk.agent(connectors=())
    agent = await desk.agent_says("Serving")
    [name] = await names(desk)
    assert name == agent["status"]["liveRevision"]
    assert len(name.removeprefix("support-")) == 10


async def test_the_same_manifest_again_changes_nothing(desk: Any) -> None:
    await desk.agent(connectors=(), template={"name": "v1"})
    before = await desk.agent_says("Serving")
    await desk.agent(connectors=(), template={"name": "v1"})
    await desk.agent(connectors=(), template={"name": "v2"})
    await live(desk, "support-v2")
    assert await names(desk) == {"support-v1", "support-v2"}
    assert before["metadata"]["generation"] == 1


async def test_going_back_in_git_goes_back_to_that_revision(desk: Any) -> None:
    await desk.agent(connectors=(), template=script("one"))
    first = (await desk.agent_says("Serving"))["status"]["liveRevision"]
    await desk.agent(connectors=(), template=script("two"))
    await desk.until(resources.AGENTS, "support", lambda it: it["status"].get("liveRevision") not in (None, first))
    both = await names(desk)
    await desk.agent(connectors=(), template=script("one"))
    await live(desk, first)
    assert await names(desk) == both


async def test_a_pin_deploys_a_kept_revision(desk: Any) -> None:
    await desk.agent(connectors=(), template={"name": "v1"})
    await live(desk, "support-v1")
    await desk.agent(connectors=(), template={"name": "v2", **script("two")})
    await live(desk, "support-v2")
    await desk.agent(connectors=(), template={"name": "v2", **script("two")}, revision="support-v1")
    agent = await live(desk, "support-v1")
    assert agent["status"]["desiredRevision"] == "support-v1"


async def test_a_pin_that_is_missing_leaves_the_live_one_and_says_so(desk: Any) -> None:
    await desk.agent(connectors=(), template={"name": "v1"})
    await live(desk, "support-v1")
    await desk.agent(connectors=(), template={"name": "v1"}, revision="support-v9")
    agent = await desk.agent_says("RevisionMissing")
    assert "support-v9" in condition(agent, "Ready")["message"]
    assert agent["status"]["liveRevision"] == "support-v1"


async def test_a_pin_that_is_missing_while_nothing_is_live_lets_the_newest_serve(desk: Any) -> None:
    await desk.agent(connectors=(), template={"name": "v1"}, revision="support-v9")
    await desk.agent_says("RevisionMissing")
    await live(desk, "support-v1")


async def test_a_taken_name_is_told_and_the_live_one_goes_on(desk: Any) -> None:
    await desk.agent(connectors=(), template={"name": "v1", **script("one")})
    await live(desk, "support-v1")
    await desk.agent(connectors=(), template={"name": "v1", **script("other")})
    agent = await desk.agent_says("RevisionNameTaken")
    assert "spec.template.name" in condition(agent, "Ready")["message"]
    assert agent["status"]["liveRevision"] == "support-v1"


async def test_history_is_bounded_and_keeps_what_is_live_and_pinned(desk: Any) -> None:
    for number in range(1, 6):
        pin = {"revision": "support-v1"} if number > 1 else {}
        template = {"name": f"v{number}", **script(str(number))}
        await desk.agent(connectors=(), template=template, revisionHistoryLimit=1, **pin)
        await desk.until(resources.AGENT_REVISIONS, f"support-v{number}", lambda it: "state" in it.get("status", {}))
    await live(desk, "support-v1")
    for gone in ("support-v2", "support-v3"):
        await desk.gone(resources.AGENT_REVISIONS, gone)
    assert "support-v1" in await names(desk)


async def test_a_superseded_revision_hands_over_before_it_goes(desk: Any) -> None:
    await desk.agent(connectors=(), template={"name": "v1", **script("one")})
    await live(desk, "support-v1")
    await desk.agent(connectors=(), template={"name": "v2", **script("two")})
    await live(desk, "support-v2")
    first = await desk.until(
        resources.AGENT_REVISIONS, "support-v1", lambda it: it.get("status", {}).get("state") == "Draining"
    )
    assert await desk.get(resources.DEPLOYMENTS, "support-v1") is not None
    for working in (3, 0):
        drain = {
            "apiVersion": first["apiVersion"],
            "kind": "AgentRevision",
            "metadata": {"name": "support-v1", "namespace": desk.namespace},
            "status": {"drain": {"revision": "support-v2", "working": working}},
        }
        await desk.kubectl.api.apply(resources.AGENT_REVISIONS, drain, manager="webhook", subresource="status")
        if working:
            await desk.agent(connectors=(), template={"name": "v2", **script("two")}, revisionHistoryLimit=5)
            await desk.until(resources.AGENTS, "support", lambda it: it["status"]["observedGeneration"] == 3)
            assert await desk.get(resources.DEPLOYMENTS, "support-v1") is not None
    await desk.gone(resources.DEPLOYMENTS, "support-v1")
    await standby(desk, "support-v1")
    assert "RevisionRemoved" in await desk.reasons()


async def test_what_was_said_of_an_earlier_drain_does_not_count_the_next_time(desk: Any) -> None:
    await desk.agent(connectors=(), template={"name": "v1", **script("one")})
    await live(desk, "support-v1")
    drain = {"revision": "support-v2", "working": 0}
    status = {"metadata": {"name": "support-v1", "namespace": desk.namespace}, "status": {"drain": drain}}
    await desk.kubectl.api.apply(resources.AGENT_REVISIONS, status, manager="webhook", subresource="status")
    await desk.until(resources.AGENT_REVISIONS, "support-v1", lambda it: "drain" not in it["status"])


async def test_instructions_are_copied_and_a_change_of_them_is_a_new_revision(desk: Any) -> None:
    def instructions(text: str) -> dict[str, Any]:
        metadata = {"name": "prompts", "namespace": desk.namespace}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"system": text}}

    model = {"name": "test:echo", "instructionsFrom": {"configMapRef": {"name": "prompts", "key": "system"}}}
    await desk.agent(connectors=(), template={"engine": {"model": model}})
    agent = await desk.agent_says("InstructionsMissing")
    assert "prompts" in condition(agent, "Ready")["message"]
    await desk.kubectl.apply([instructions("Be kind.")])
    agent = await desk.agent_says("Serving")
    [revision] = await desk.list(resources.AGENT_REVISIONS)
    assert revision["spec"]["engine"]["model"]["instructions"] == "Be kind."
    first = agent["status"]["liveRevision"]
    await desk.kubectl.apply([instructions("Be brief.")])
    agent = await desk.until(resources.AGENTS, "support", lambda it: it["status"]["liveRevision"] != first)
    second = await desk.get(resources.AGENT_REVISIONS, agent["status"]["liveRevision"])
    assert second["spec"]["engine"]["model"]["instructions"] == "Be brief."
    await desk.kubectl.apply([instructions("Be kind.")])
    await live(desk, first)
    assert await names(desk) == {first, second["metadata"]["name"]}


async def test_instructions_that_are_deleted_change_nothing_that_runs(desk: Any) -> None:
    metadata = {"name": "prompts", "namespace": desk.namespace}
    await desk.kubectl.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"system": "x"}}])
    model = {"name": "test:echo", "instructionsFrom": {"configMapRef": {"name": "prompts", "key": "system"}}}
    await desk.agent(connectors=(), template={"name": "v1", "engine": {"model": model}})
    await live(desk, "support-v1")
    await desk.delete(resources.CONFIG_MAPS, "prompts")
    agent = await desk.agent_says("InstructionsMissing")
    assert agent["status"]["liveRevision"] == "support-v1"
    assert await desk.get(resources.DEPLOYMENTS, "support-v1") is not None


async def test_what_somebody_changed_or_deleted_comes_back(desk: Any) -> None:
    await desk.agent(connectors=(), template={"name": "v1"})
    await live(desk, "support-v1")
    uid = (await desk.get(resources.DEPLOYMENTS, "support-v1"))["metadata"]["uid"]
    await desk.delete(resources.DEPLOYMENTS, "support-v1")
    await desk.until(resources.DEPLOYMENTS, "support-v1", lambda it: it["metadata"]["uid"] != uid)
    patch = {"spec": {"selector": {"switchboard.dev/revision": "nowhere"}}}
    await desk.kubectl.api.merge_patch(resources.SERVICES, "support-webhook", desk.namespace, patch)
    await desk.until(
        resources.SERVICES,
        "support-webhook",
        lambda it: it["spec"]["selector"]["switchboard.dev/revision"] == "support-v1",
    )


async def test_a_secret_that_is_not_labelled_is_never_mounted(desk: Any) -> None:
    await desk.secret("openai", allowed=False, apiKey="k")
    model = {"name": "test:echo", "apiKey": {"secretRef": {"name": "openai", "key": "apiKey"}}}
    await desk.agent(connectors=(), template={"name": "v1", "engine": {"model": model}})
    agent = await desk.agent_says("SecretNotAllowed")
    assert (
        f"kubectl label secret openai switchboard.dev/use=true -n {desk.namespace}"
        in condition(agent, "Ready")["message"]
    )
    assert await desk.get(resources.DEPLOYMENTS, "support-v1") is None
    await desk.secret("openai", apiKey="k")
    await desk.agent_says("Serving")
    deployment = await desk.get(resources.DEPLOYMENTS, "support-v1")
    [volume] = [it for it in deployment["spec"]["template"]["spec"]["volumes"] if it["name"] == "secrets"]
    assert volume["projected"]["sources"][1:] == [
        {"secret": {"name": "openai", "items": [{"key": "apiKey", "path": "engine/api-key"}], "optional": True}}
    ]


async def test_the_key_of_contacts_names_is_handed_to_no_engine(desk: Any) -> None:
    await desk.agent(connectors=(), template={"name": "v1"})
    await live(desk, "support-v1")
    key = {"secretRef": {"name": CONTACTS_SECRET, "key": CONTACTS_KEY}}
    await desk.agent(connectors=(), template={"name": "v2", "engine": {"model": {"name": "test:echo", "apiKey": key}}})
    agent = await desk.agent_says("SecretNotAllowed")
    assert agent["status"]["liveRevision"] == "support-v1"
    assert await desk.get(resources.DEPLOYMENTS, "support-v2") is None


async def test_an_agent_and_all_that_is_its_own_go_together(desk: Any) -> None:
    await desk.agent(connectors=(), template={"name": "v1"})
    await live(desk, "support-v1")
    await desk.delete(resources.AGENTS, "support")
    for kind in (
        resources.AGENTS,
        resources.AGENT_REVISIONS,
        resources.DEPLOYMENTS,
        resources.SERVICES,
        resources.CONFIG_MAPS,
        resources.ROLE_BINDINGS,
    ):
        for obj in await desk.list(kind):
            if obj["metadata"]["name"].startswith("support"):
                await desk.gone(kind, obj["metadata"]["name"])
