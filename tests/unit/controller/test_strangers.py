"""What somebody else labelled as an Agent's is told of once, and named with the command that mends it."""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.controller.queue import Key
from switchboard.controller.strangers import Strangers

AGENT = Key("Agent", "acme", "support")


def deployment(name: str, /, *, uid: str | None = None, **owner: Any) -> dict[str, Any]:
    references = [{"controller": True, "uid": "o", **owner}] if owner else []
    metadata = {"name": name, "namespace": "acme", "uid": uid or name, "ownerReferences": references}
    return {"metadata": metadata}


def names(strangers: Strangers, *deployments: dict[str, Any]) -> list[str]:
    return [event.message.split()[2] for event in strangers.found(AGENT, deployments)]


def test_only_what_no_revision_controls_is_strange() -> None:
    ours = deployment("support-v1", kind="AgentRevision", name="support-v1")
    goes_with_ours = deployment("kept", kind="AgentRevision", name="support-v1", controller=False)
    operators = deployment("web", kind="WebApp", name="shop")
    assert names(Strangers(), ours, deployment("mine"), goes_with_ours, operators) == ["mine", "kept", "web"]


def test_each_is_told_of_once_and_again_when_it_is_another() -> None:
    strangers = Strangers()
    assert names(strangers, deployment("mine")) == ["mine"]
    assert names(strangers, deployment("mine"), deployment("other")) == ["other"]
    assert names(strangers, deployment("mine", uid="made anew"), deployment("other")) == ["mine"]
    assert names(strangers) == []
    assert names(strangers, deployment("other")) == ["other"]


def test_what_was_told_is_forgotten_with_its_agent() -> None:
    strangers = Strangers()
    names(strangers, deployment("mine"))
    strangers.forget(AGENT)
    assert names(strangers, deployment("mine")) == ["mine"]


@pytest.mark.parametrize(
    ("owner", "whose"), [({}, "nobody"), ({"kind": "WebApp", "name": "shop"}, "the WebApp shop")], ids=["none", "other"]
)
def test_the_event_says_whose_it_is_and_what_takes_the_label_away(owner: dict[str, Any], whose: str) -> None:
    [event] = Strangers().found(AGENT, [deployment("mine", **owner)])
    assert (event.reason, event.type) == ("LabelledByHand", "Warning")
    assert f"belongs to {whose}: it is left as it is" in event.message
    assert event.message.endswith("kubectl label deployment mine switchboard.dev/agent- -n acme")
