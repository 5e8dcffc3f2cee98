"""The examples' agents, run as they are: only addresses are put in place of the cluster's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.engines.conftest import Make, Secrets, Servers, Start
from tests.unit.engines.turns import NOW, said, turn

from switchboard.api.agent import Agent
from switchboard.api.connector import TwilioConnector
from switchboard.api.engine import Engine as Spec
from switchboard.engines import EngineMisconfigured, Said

EXAMPLES = Path(__file__).parents[3] / "examples"
NAMES = ["menu", "http-agent", "kagent-whatsapp", "llm-agent"]
WORKLOADS = ["http-agent", "llm-agent"]


def objects(name: str) -> list[dict[str, Any]]:
    files = sorted(file for file in (EXAMPLES / name).glob("*.yaml") if file.name != "kustomization.yaml")
    return [document for file in files for document in yaml.safe_load_all(file.read_text()) if document]


def the(name: str, kind: str, group: str = "switchboard.dev") -> dict[str, Any]:
    (found,) = (one for one in objects(name) if one["kind"] == kind and one["apiVersion"].startswith(group))
    return found


def spec(name: str, **address: str) -> Spec:
    """The engine of an example, with addresses replaced by dotted path."""
    engine = the(name, "Agent")["spec"]["template"]["engine"]
    for path, url in address.items():
        target, keys = engine, path.split("__")
        for key in keys[:-1]:
            target = target[int(key)] if key.isdecimal() else target[key]
        assert keys[-1] in target or keys[-1] == "baseURL"
        target[keys[-1]] = url
    return Spec.model_validate(engine)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_whole_and_consistent(name: str) -> None:
    agent = Agent.model_validate(the(name, "Agent"))
    connector = TwilioConnector.model_validate(the(name, "TwilioConnector"))
    assert [route.name for route in agent.spec.template.connectors] == [connector.metadata.name]
    secrets = {one["metadata"]["name"]: one for one in objects(name) if one["kind"] == "Secret"}
    for secret in secrets.values():
        assert secret["metadata"]["labels"]["switchboard.dev/use"] == "true"
    wanted = _references({"agent": the(name, "Agent")["spec"], "connector": the(name, "TwilioConnector")["spec"]})
    assert {reference["name"] for reference in wanted} <= set(secrets)
    assert all(reference.get("key") in (None, *secrets[reference["name"]]["stringData"]) for reference in wanted)
    kustomization = yaml.safe_load((EXAMPLES / name / "kustomization.yaml").read_text())
    files = {file.name for file in (EXAMPLES / name).glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == files
    assert (EXAMPLES / name / "README.md").read_text().startswith("# ")
    assert {one["metadata"].get("namespace") for one in objects(name)} == {None, "acme"}


def _references(value: object) -> list[dict[str, str]]:
    if isinstance(value, list):
        return [found for one in value for found in _references(one)]
    if not isinstance(value, dict):
        return []
    own = [value[key] for key in ("secretRef", "headersSecretRef") if key in value]
    return own + [found for one in value.values() for found in _references(one)]


@pytest.mark.parametrize("name", WORKLOADS)
def test_an_example_s_pods_meet_the_restricted_standard_and_find_their_code(name: str) -> None:
    pod = the(name, "Deployment", "apps/v1")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    (generated,) = yaml.safe_load((EXAMPLES / name / "kustomization.yaml").read_text())["configMapGenerator"]
    (code,) = (volume["configMap"] for volume in pod["volumes"] if "configMap" in volume)
    assert code == {"name": generated["name"]}
    assert container["command"][-1] == f"/app/{generated['files'][0]}"
    assert (EXAMPLES / name / generated["files"][0]).exists()
    host = the(name, "Service", "v1")["metadata"]["name"] + ".acme.svc"
    assert host in yaml.safe_dump(the(name, "Agent"))


async def test_the_menu_leads_to_an_order(make: Make) -> None:
    engine = make(spec("menu"))
    talk = ["Hi", "1", "2", "3", "order 1234 for Zoë", "order #7", "what?"]
    answers = [(await engine.answer(turn(text))).text for text in talk]
    assert answers[0].startswith("Acme Pizza. Reply with a number:\n1 Hours\n")
    assert answers[1:3] == ["We are open 11 to 23, every day.", "Today: Quattro Formaggi for $9."]
    assert answers[4:6] == ["Order 1234 for Zoë is in the oven.", "Order 7 is in the oven."]
    assert answers[6].startswith("Sorry")


async def test_the_http_agent_answers_who_signs_and_nobody_else(
    servers: Servers, make: Make, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [one.get("stringData", {}).get("signingSecret") for one in objects("http-agent")]
    (key,) = filter(None, keys)
    _listen_here(monkeypatch, SIGNING_SECRET=key)
    server = servers.get(EXAMPLES / "http-agent" / "agent.py")
    secrets("engine/signing-secret", key)
    engine = make(spec("http-agent", endpoint__url=server.url))
    assert (await engine.answer(turn("hi", contact_name="Ann"))).text == "Hello Ann, you said: hi"
    assert (await engine.answer(turn("hi"))).text == "Hello stranger, you said: hi"
    secrets("engine/signing-secret", "whsec_" + "A" * 44)
    with pytest.raises(EngineMisconfigured) as refused:
        await engine.answer(turn("hi"))
    assert refused.value.kind == "EndpointUnauthorized"


async def test_the_a2a_agent_remembers_each_conversation(
    servers: Servers, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    _listen_here(monkeypatch)
    server = servers.get(EXAMPLES / "kagent-whatsapp" / "agent.py")
    engine = make(spec("kagent-whatsapp", endpoint__url=f"{server.url}/api/a2a/acme/support"))
    first = await engine.answer(turn("hello"))
    assert first.text == "Message 1 of this conversation: hello"
    history = [said("hello"), Said(by_contact=False, text=first.text, time=NOW, steps=first.steps)]
    assert (await engine.answer(turn("again", history=history))).text == "Message 2 of this conversation: again"
    assert (await engine.answer(turn("other", conversation="conv-2"))).text == "Message 1 of this conversation: other"


async def test_the_llm_agent_uses_its_tools(
    servers: Servers, start: Start, make: Make, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    _listen_here(monkeypatch, AUTHORIZATION="Bearer of-orders")
    tools = servers.get(EXAMPLES / "llm-agent" / "orders.py")
    provider = await start("openai_stub")
    secrets("engine/api-key", "key-of-openai")
    secrets("mcp/orders/Authorization", "Bearer of-orders")
    engine = make(spec("llm-agent", model__baseURL=f"{provider.url}/v1", model__mcpServers__0__url=f"{tools.url}/mcp"))
    status = await engine.answer(turn('use orders_status {"order": 1234}'))
    assert status.text == "the tool said in the oven"
    for _ in range(2):
        cancelled = await engine.answer(turn('use orders_cancel {"order": 1235}', execution="exe-9"))
        assert cancelled.text == "the tool said order 1235 is cancelled"
    (asked, *_) = await provider.requests()
    assert asked["json"]["messages"][0]["content"].startswith("You are the support agent of Acme")


def _listen_here(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    for name, value in {"HOST": "127.0.0.1", "PORT": "0", **environment}.items():
        monkeypatch.setitem(os.environ, name, value)
