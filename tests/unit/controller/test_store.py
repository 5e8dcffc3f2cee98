"""What is known of the cluster never goes backwards."""

from __future__ import annotations

from typing import Any

from switchboard.api.agent import Agent
from switchboard.controller.store import MODELS_KEPT, ROLLOUT, Store, part
from switchboard.kube import resources


def agent(version: int, *, name: str = "support", uid: str = "u1", **spec: Any) -> dict[str, Any]:
    template = {"engine": {"script": {"fallback": "x"}}}
    return {
        "metadata": {
            "name": name,
            "namespace": "acme",
            "uid": uid,
            "resourceVersion": str(version),
            "managedFields": [],
        },
        "spec": {"template": template, **spec},
    }


def test_an_older_version_is_no_news() -> None:
    store = Store()
    assert store.put(resources.AGENTS, agent(10))[1]
    assert not store.put(resources.AGENTS, agent(9))[1]
    assert not store.put(resources.AGENTS, agent(10))[1]
    assert store.put(resources.AGENTS, agent(11))[1]


def test_a_new_object_of_the_same_name_is_news_whatever_its_version() -> None:
    store = Store()
    store.put(resources.AGENTS, agent(10))
    assert store.put(resources.AGENTS, agent(3, uid="u2"))[1]


def test_a_late_deletion_of_the_one_before_does_not_take_the_new_one() -> None:
    store = Store()
    store.put(resources.AGENTS, agent(12, uid="u2"))
    assert store.remove(resources.AGENTS, "acme", "support", uid="u1") is None
    assert store.get(resources.AGENTS, "acme", "support") is not None


def test_a_listing_forgets_what_is_gone_and_tells_it() -> None:
    store = Store()
    store.put(resources.AGENTS, agent(1, name="a"))
    store.put(resources.AGENTS, agent(2, name="b"))
    news = store.replace(resources.AGENTS, None, [agent(2, name="b"), agent(3, name="c")])
    assert sorted(it["metadata"]["name"] for it in news) == ["a", "c"]
    assert {it["metadata"]["name"] for it in store.all(resources.AGENTS)} == {"b", "c"}


def test_a_model_is_read_once_for_each_version() -> None:
    store = Store()
    store.put(resources.AGENTS, agent(1))
    first = store.model(Agent, resources.AGENTS, "acme", "support")
    assert first is store.model(Agent, resources.AGENTS, "acme", "support")
    store.put(resources.AGENTS, agent(2, revision="support-v1"))
    second = store.model(Agent, resources.AGENTS, "acme", "support")
    assert second is not None
    assert second.spec.revision == "support-v1"


def test_what_this_version_cannot_read_is_none() -> None:
    store = Store()
    store.put(resources.AGENTS, agent(1, template={"engine": "nonsense"}))
    assert store.model(Agent, resources.AGENTS, "acme", "support") is None


def test_what_takes_room_and_is_not_needed_is_left_out() -> None:
    store = Store()
    store.put(resources.PODS, {"metadata": {"name": "p", "namespace": "n", "managedFields": [1]}, "spec": {"a": 1}})
    found = store.get(resources.PODS, "n", "p")
    assert found is not None
    assert "spec" not in found
    assert "managedFields" not in found["metadata"]


def test_of_many_objects_only_the_last_models_are_kept() -> None:
    store = Store()
    for index in range(MODELS_KEPT + 1):
        store.put(resources.AGENTS, agent(1, name=f"a{index}"))
    first = store.model(Agent, resources.AGENTS, "acme", "a0")
    last = [store.model(Agent, resources.AGENTS, "acme", f"a{index}") for index in range(1, MODELS_KEPT + 1)][-1]
    assert store.model(Agent, resources.AGENTS, "acme", f"a{MODELS_KEPT}") is last
    again = store.model(Agent, resources.AGENTS, "acme", "a0")
    assert again is not first
    assert again == first


def made(version: int, *, replicas: int = 2, status: Any = None, **annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "support-v1",
            "namespace": "acme",
            "uid": "d1",
            "resourceVersion": str(version),
            "labels": {"switchboard.dev/agent": "support"},
            "annotations": {"switchboard.dev/applied": "abc", **annotations},
        },
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "webhook"}]}}},
        "status": status or {},
    }


def deployment(store: Store) -> dict[str, Any]:
    found = store.get(resources.DEPLOYMENTS, "acme", "support-v1")
    assert found is not None
    return found


def test_of_what_stands_as_it_was_made_only_what_is_read_is_kept() -> None:
    store = Store()
    store.put(resources.DEPLOYMENTS, made(1))
    assert store.settled(resources.DEPLOYMENTS, "acme", "support-v1") is None
    store.settle(resources.DEPLOYMENTS, "acme", "support-v1", "1")
    assert store.settled(resources.DEPLOYMENTS, "acme", "support-v1") == "abc"
    assert deployment(store)["spec"] == {"replicas": 2}
    assert store.of_agent(resources.DEPLOYMENTS, "acme", "support") == [deployment(store)]


def test_it_goes_on_standing_while_only_its_status_changes() -> None:
    store = Store()
    store.put(resources.DEPLOYMENTS, made(1))
    store.settle(resources.DEPLOYMENTS, "acme", "support-v1", "1")
    before = part(deployment(store))
    store.put(resources.DEPLOYMENTS, made(2, status={"readyReplicas": 2}, **{ROLLOUT: "1"}))
    assert store.settled(resources.DEPLOYMENTS, "acme", "support-v1") == "abc"
    assert part(deployment(store)) == before
    assert deployment(store)["status"] == {"readyReplicas": 2}


def test_what_somebody_changes_no_longer_stands_and_is_there_to_be_compared() -> None:
    store = Store()
    store.put(resources.DEPLOYMENTS, made(1))
    store.settle(resources.DEPLOYMENTS, "acme", "support-v1", "1")
    before = part(deployment(store))
    store.put(resources.DEPLOYMENTS, made(2, replicas=5))
    assert store.settled(resources.DEPLOYMENTS, "acme", "support-v1") is None
    assert part(deployment(store)) != before
    assert "template" in deployment(store)["spec"]
    store.settle(resources.DEPLOYMENTS, "acme", "support-v1", "1")  # what was compared is not what is there now
    assert store.settled(resources.DEPLOYMENTS, "acme", "support-v1") is None


def test_the_echo_of_a_write_is_known_and_another_version_is_not() -> None:
    store = Store()
    store.put(resources.AGENTS, agent(10))
    assert store.knows(resources.AGENTS, agent(10))
    assert not store.knows(resources.AGENTS, agent(11))
    assert not store.knows(resources.AGENTS, agent(10, uid="u2"))


def ending(obj: dict[str, Any]) -> dict[str, Any]:
    obj["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    return obj


def test_an_agent_that_goes_or_cannot_be_read_is_none_to_its_connectors() -> None:
    store = Store()
    assert store.agent("acme", "support") is None
    store.put(resources.AGENTS, agent(1))
    facts = store.agent("acme", "support")
    assert facts is not None
    assert facts.name == "support"
    store.put(resources.AGENTS, agent(2, template=None))
    assert store.agent("acme", "support") is None
    store.put(resources.AGENTS, ending(agent(3)))
    assert store.agent("acme", "support") is None


def connector(version: int, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "sms", "namespace": "acme", "uid": "c1", "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {"credentials": {"secretRef": {"name": "twilio"}}, **spec}}


def test_a_connector_that_goes_or_cannot_be_read_is_none_to_its_agents() -> None:
    store = Store()
    assert store.connector("acme", "sms") is None
    store.put(resources.TWILIO_CONNECTORS, connector(1))
    facts = store.connector("acme", "sms")
    assert facts is not None
    assert facts.secret == "twilio"
    store.put(resources.TWILIO_CONNECTORS, connector(2, credentials=None))
    assert store.connector("acme", "sms") is None
    store.put(resources.TWILIO_CONNECTORS, ending(connector(3)))
    assert store.connector("acme", "sms") is None


def revision(name: str, **owner: Any) -> dict[str, Any]:
    reference = {"kind": "Agent", "name": "support", "uid": "u1", **owner}
    metadata = {"name": name, "namespace": "acme", "uid": name, "resourceVersion": "1", "ownerReferences": [reference]}
    return {"metadata": metadata}


def test_an_agents_revisions_are_those_that_it_controls() -> None:
    store = Store()
    store.put(resources.AGENT_REVISIONS, revision("ours", controller=True))
    store.put(resources.AGENT_REVISIONS, revision("kept-as-long", controller=False))
    store.put(resources.AGENT_REVISIONS, revision("anothers", uid="u2", controller=True))
    assert [it["metadata"]["name"] for it in store.owned_by(resources.AGENT_REVISIONS, "acme", "u1")] == ["ours"]
