"""What is known of the cluster never goes backwards."""

from __future__ import annotations

from typing import Any

from switchboard.api.agent import Agent
from switchboard.controller.store import Store
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
