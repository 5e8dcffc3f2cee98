"""What the operator reads before it works, and what it hears then."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from switchboard.controller.queue import Key
from switchboard.controller.secrets import SecretReader
from switchboard.controller.store import Store
from switchboard.controller.watches import Watches
from switchboard.kube.client import Changed, Listing, Synced
from switchboard.kube.errors import Unavailable
from switchboard.kube.resources import AGENT_REVISIONS, DEPLOYMENTS, TWILIO_CONNECTORS, Object, ResourceType
from switchboard.reconcile.workloads import ANNOTATION_SECRETS
from switchboard.settings import OperatorSettings


class Stumbling:
    """An API server that refuses every second request."""

    def __init__(self) -> None:
        self.asked = 0
        self.listed: list[tuple[str, str | None]] = []

    async def list(self, resource: ResourceType, namespace: str | None) -> Listing:
        self.asked += 1
        if self.asked % 2 == 0:
            raise Unavailable("the leader changed")
        self.listed.append((resource.kind, namespace))
        return Listing(items=[], resource_version="1")


def context(**parts: Any) -> Any:
    """The parts of an operator that its watches use."""
    settings = OperatorSettings(namespaces=["a", "b", "c"], public_url="https://agents.example.com")
    return SimpleNamespace(
        **{
            "store": Store(),
            "applier": SimpleNamespace(),
            "enqueue": lambda *_: None,
            "busy": lambda: False,
            "settings": settings,
            **parts,
        }
    )


async def test_a_server_that_refuses_now_and_then_is_read_to_the_end_and_once() -> None:
    api = Stumbling()
    watches = Watches(context(api=api))
    failures = 0
    for _ in range(100):
        try:
            await watches.load()
            break
        except Unavailable:
            failures += 1
    else:
        pytest.fail("it never came to the end")
    assert failures == len(api.listed) - 1
    assert len(set(api.listed)) == len(api.listed)
    assert {namespace for _, namespace in api.listed} == {"a", "b", "c"}


def labelled(**annotations: str) -> Object:
    """A Deployment whose pods all run, with annotations that anybody may have written."""
    metadata = {
        "name": "support-v1",
        "namespace": "a",
        "uid": "d",
        "resourceVersion": "1",
        "labels": {"switchboard.dev/agent": "support"},
        "annotations": annotations,
    }
    status = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    return {"metadata": metadata, "spec": {"replicas": 1}, "status": status}


async def heard(*objects: Object) -> list[Key]:
    """What is reconciled because of a listing of Deployments."""
    found: list[Key] = []

    async def watch(*_: Any, **__: Any) -> Any:
        yield Synced(list(objects), "1")

    await Watches(context(api=SimpleNamespace(watch=watch), enqueue=lambda key, _: found.append(key)))._watch(
        DEPLOYMENTS, "a"
    )
    return found


@pytest.mark.parametrize("text", ["nonsense", "[]", '{"twilio": {}}'])
async def test_what_somebody_writes_into_a_deployment_ends_no_watch(text: str) -> None:
    assert await heard(labelled(**{ANNOTATION_SECRETS: text})) == [Key("Agent", "a", "support")]


@pytest.mark.parametrize(("resource", "selector"), [(DEPLOYMENTS, "switchboard.dev/agent"), (AGENT_REVISIONS, "")])
async def test_of_all_that_is_made_only_revisions_are_watched_without_our_label(
    resource: ResourceType, selector: str
) -> None:
    """A name that anybody's AgentRevision has cannot be given to ours."""
    asked: list[str] = []

    async def watch(*_: Any, label_selector: str) -> Any:
        asked.append(label_selector)
        yield Synced([], "1")

    await Watches(context(api=SimpleNamespace(watch=watch)))._watch(resource, "a")
    assert asked == [selector]


async def test_one_object_that_cannot_be_understood_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    broken = labelled()
    broken["metadata"] |= {"name": "broken", "uid": "b"}
    broken["status"] = {"replicas": "many"}
    assert await heard(broken, labelled()) == [Key("Agent", "a", "support")]
    assert [it.__dict__["object"] for it in caplog.records] == ["Deployment/a/broken"]


def labelled_secret(name: str, version: str = "1") -> Object:
    return {"metadata": {"name": name, "namespace": "a", "uid": name, "resourceVersion": version}}


async def test_a_secret_that_went_or_changed_while_nobody_watched_leads_to_who_refers_to_it() -> None:
    found: list[Key] = []
    store = Store()
    for name in ("kept", "changed", "gone"):
        metadata = {"name": f"sms-{name}", "namespace": "a", "uid": name, "resourceVersion": "1"}
        store.put(TWILIO_CONNECTORS, {"metadata": metadata, "spec": {"credentials": {"secretRef": {"name": name}}}})
    listings = [
        Synced([labelled_secret(name) for name in ("kept", "changed", "gone")], "1"),
        Synced([labelled_secret("kept"), labelled_secret("changed", "2")], "2"),
        Changed("MODIFIED", labelled_secret("kept", "3")),
        Changed("MODIFIED", labelled_secret("kept", "3")),
        Changed("DELETED", labelled_secret("changed", "4")),
    ]
    heard: list[list[str]] = []

    async def watch(*_: Any, **__: Any) -> Any:
        for listing in listings:
            found.clear()
            yield listing
            heard.append(sorted(key.name for key in found))

    api = SimpleNamespace(watch=watch)
    parts = context(api=api, store=store, secrets=SecretReader(api), enqueue=found.append)  # type: ignore[arg-type]
    await Watches(parts)._watch_secrets("a")
    assert heard == [
        ["sms-changed", "sms-gone", "sms-kept"],
        ["sms-changed", "sms-gone"],
        ["sms-kept"],
        [],
        ["sms-changed"],
    ]
