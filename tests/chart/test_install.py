"""Helm installs, upgrades, rolls back and uninstalls the chart on an embedded cluster that enforces RBAC.

The operator then runs as the chart's Deployment does, on the chart's own ServiceAccount.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.chart.rendering import CHART, NAMESPACE, RELEASE, ROOT, helm

from switchboard.kube.client import KubeApi, connect
from switchboard.kube.errors import Forbidden, Invalid, NotFound
from switchboard.kube.resources import (
    ACCESS_REQUESTS,
    CRDS,
    DEPLOYMENTS,
    EVENTS,
    MESSAGES,
    NAMESPACES,
    PODS,
    ROLE_BINDINGS,
    SECRETS,
    SELF_REVIEWS,
    SERVICE_ACCOUNTS,
    TWILIO_CONNECTORS,
    ResourceType,
)
from switchboard.sandbox import stack
from switchboard.sandbox.stack import Kubectl, condition, reason
from switchboard.sandbox.twilio.control_models import AccountSpec, NumberSpec, SenderSpec

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

ACCOUNT, TOKEN = f"AC{secrets.token_hex(16)}", secrets.token_hex(16)
NUMBER, PERSON, STRANGER = "+15005550006", "+14155550100", "+14155550199"
OLD_WEBHOOK = "https://old.example.com/sms"
OPERATOR = "switchboard-operator"
TOKENS = ResourceType("", "v1", "serviceaccounts", "TokenRequest")
"""Created below a ServiceAccount: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/"""


@dataclass
class Installed:
    """A cluster with the chart's release, and the simulator beside it."""

    kubectl: Kubectl
    config: Any
    control: Any
    values: dict[str, Any]
    directory: Path

    async def helm(self, action: str, *arguments: Any, **options: Any) -> Any:
        """One of Helm's actions on the release, in a thread: it blocks."""
        return await asyncio.to_thread(getattr(self.config, action), *arguments, **options)

    async def install(self) -> None:
        """Installs the chart and waits until the operator's Deployment is available."""
        await self.helm("install", CHART, RELEASE, self.values, create_namespace=True, wait="watcher", timeout=90)

    async def quickstart(self) -> None:
        """Applies the quickstart, with the credentials of the simulator's account, and waits for `Connected`."""
        for manifest in stack.manifests(ROOT / "examples" / "quickstart"):
            if manifest["kind"] == "Secret":
                manifest["stringData"] = {"accountSid": ACCOUNT, "authToken": TOKEN}
            await self.kubectl.apply([manifest])
        await self.connector("Connected")

    async def connector(self, wanted: str) -> dict[str, Any]:
        """The quickstart's connector, once its `Ready` has that reason."""
        return await self.kubectl.until(
            TWILIO_CONNECTORS, "production-sms", lambda it: reason(it) == wanted, "acme", timeout=60
        )

    async def ask(self, text: str) -> str:
        """The answer to a text."""
        before = len(await self.control.inbox(PERSON, wait=False))
        await self.control.text(PERSON, NUMBER, text)
        return str((await self.control.next_message(PERSON, after=before)).body)

    async def webhook_at_twilio(self) -> str:
        """Where the number's messages go."""
        return str((await self.control.number(ACCOUNT, NUMBER)).sms_url)

    @asynccontextmanager
    async def as_service_account(self, namespace: str, name: str) -> AsyncIterator[KubeApi]:
        """A client that is a ServiceAccount."""
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {},
        }
        answer = await self.kubectl.api.create(TOKENS, request, subresource="token")
        document = json.loads(self.kubectl.kubeconfig.read_text())
        document["users"][0]["user"] = {"token": answer["status"]["token"]}
        path = self.directory / f"{name}.kubeconfig"
        path.write_text(json.dumps(document))
        async with await connect(kubeconfig=path) as api:
            yield api


@asynccontextmanager
async def _release(directory: Path, values: dict[str, Any]) -> AsyncIterator[Installed]:
    async with AsyncExitStack() as exits:
        running = await exits.enter_async_context(stack.cluster(directory, options=["--rbac"]))
        kubectl = await exits.enter_async_context(stack.kubectl(running.kubeconfig))
        url, control = await exits.enter_async_context(stack.simulator(directory))
        await control.create_account(
            AccountSpec(
                sid=ACCOUNT,
                auth_token=TOKEN,
                friendly_name="Acme",
                numbers=[NumberSpec(phone_number=NUMBER, sms_url=OLD_WEBHOOK)],
                senders=[SenderSpec(phone_number=NUMBER)],
            )
        )
        config = exits.enter_context(helm.Config(kubeconfig_path=running.kubeconfig, namespace=NAMESPACE))
        chosen = {"publicURL": running.router, "twilio": {"baseURL": url}, **values}
        yield Installed(kubectl, config, control, chosen, directory)


@pytest.fixture(scope="session", autouse=True)
def _embedded_only(kubeconfig: Path | None) -> None:
    if kubeconfig is not None:
        pytest.skip("a release has objects of the whole cluster: on another cluster, `make e2e` installs it")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def installed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installed]:
    """The chart with its defaults, and the quickstart, connected."""
    async with _release(tmp_path_factory.mktemp("chart"), {}) as release:
        await release.install()
        await release.quickstart()
        yield release


async def test_the_quickstart_answers_with_the_charts_own_service_accounts(installed: Installed) -> None:
    pods = await installed.kubectl.api.list(PODS, NAMESPACE)
    assert {it["spec"]["serviceAccountName"] for it in pods.items} == {OPERATOR}
    assert await installed.ask("Where is order 1234?") == "Order 1234 is on its way."


async def test_an_upgrade_and_a_rollback_leave_the_number_connected(installed: Installed) -> None:
    generation = (await installed.connector("Connected"))["metadata"]["generation"]
    values = {**installed.values, "operator": {"replicas": 2, "logLevel": "DEBUG"}}
    await installed.helm("upgrade", CHART, RELEASE, values, wait="watcher", timeout=90)
    upgraded = await installed.kubectl.api.get(DEPLOYMENTS, OPERATOR, NAMESPACE)
    assert upgraded["status"]["availableReplicas"] == 2
    assert await installed.ask("hours?") == "We are open 9 to 5, Monday to Friday."
    await installed.helm("rollback", RELEASE, wait="watcher", timeout=90)
    history = await installed.helm("history", RELEASE)
    assert len(history) >= 3
    back = await installed.kubectl.api.get(DEPLOYMENTS, OPERATOR, NAMESPACE)
    assert back["spec"]["replicas"] == 1
    assert (await installed.connector("Connected"))["metadata"]["generation"] == generation
    assert await installed.ask("hours?") == "We are open 9 to 5, Monday to Friday."


async def test_the_operator_may_do_no_more_than_it_says(installed: Installed) -> None:
    async with installed.as_service_account(NAMESPACE, OPERATOR) as operator:
        assert (await operator.list(TWILIO_CONNECTORS)).items
        with pytest.raises(Forbidden):
            await operator.delete(TWILIO_CONNECTORS, "production-sms", "acme")
        with pytest.raises(Forbidden):
            await operator.list(MESSAGES, "acme")
        with pytest.raises(Forbidden):
            await operator.delete(NAMESPACES, "acme")


async def test_a_webhook_reads_no_secret_and_sees_no_other_namespace(installed: Installed) -> None:
    async with installed.as_service_account("acme", "support-v1") as webhook:
        assert (await webhook.list(TWILIO_CONNECTORS, "acme")).items
        with pytest.raises(Forbidden):
            await webhook.get(SECRETS, "twilio", "acme")
        with pytest.raises(Forbidden):
            await webhook.list(TWILIO_CONNECTORS, "default")


def _request(name: str, *, namespace: str = "acme", **spec: str) -> dict[str, Any]:
    return {
        "apiVersion": "switchboard.dev/v1alpha1",
        "kind": "AccessRequest",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"connector": "production-sms", "contact": STRANGER, **spec},
    }


async def test_a_webhook_may_ask_but_not_decide(installed: Installed) -> None:
    async with installed.as_service_account("acme", "support-v1") as webhook:
        with pytest.raises((Forbidden, Invalid), match="may only ask"):
            await webhook.create(ACCESS_REQUESTS, _request("cheeky", decision="Approved"))
        asked = await webhook.create(ACCESS_REQUESTS, _request("polite"))
        assert asked["spec"]["decision"] == "Pending"
        with pytest.raises(Forbidden):
            await webhook.merge_patch(ACCESS_REQUESTS, "polite", "acme", {"spec": {"decision": "Approved"}})


async def test_whoever_decides_signs_with_their_own_name(installed: Installed) -> None:
    api = installed.kubectl.api
    await api.create(ACCESS_REQUESTS, _request("stranger"))
    for forged in ({"decision": "Approved"}, {"decision": "Approved", "decidedBy": "somebody-else"}):
        with pytest.raises((Forbidden, Invalid), match="whoever decides signs"):
            await api.merge_patch(ACCESS_REQUESTS, "stranger", "acme", {"spec": forged})
    review = await api.create(SELF_REVIEWS, {"metadata": {}})
    name = review["status"]["userInfo"]["username"]
    patch = {"spec": {"decision": "Approved", "decidedBy": name}}
    decided = await api.merge_patch(ACCESS_REQUESTS, "stranger", "acme", patch)
    assert decided["spec"]["decidedBy"] == name
    labelled = await api.merge_patch(ACCESS_REQUESTS, "stranger", "acme", {"metadata": {"labels": {"a": "b"}}})
    assert labelled["spec"]["decision"] == "Approved"


async def _account(api: KubeApi, namespace: str, name: str, role: str, *, where: str = "acme") -> None:
    """A ServiceAccount that a ClusterRole is bound to in the namespace `where`."""
    metadata = {"name": name, "namespace": namespace}
    await api.create(SERVICE_ACCOUNTS, {"metadata": metadata})
    binding = {
        "metadata": {"name": name, "namespace": where},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", **metadata}],
    }
    await api.create(ROLE_BINDINGS, binding)


@pytest.mark.parametrize(("namespace", "may"), [("default", True), ("acme", False)])
async def test_an_approver_decides_unless_it_is_a_workload_of_the_namespace(
    installed: Installed, namespace: str, may: bool
) -> None:
    name = f"approver-of-{namespace}"
    await _account(installed.kubectl.api, namespace, name, "switchboard-approver")
    await installed.kubectl.api.create(ACCESS_REQUESTS, _request(name))
    patch = {"spec": {"decision": "Rejected", "decidedBy": f"system:serviceaccount:{namespace}:{name}"}}
    async with installed.as_service_account(namespace, name) as approver:
        if may:
            decided = await approver.merge_patch(ACCESS_REQUESTS, name, "acme", patch)
            assert decided["spec"]["decision"] == "Rejected"
        else:
            with pytest.raises((Forbidden, Invalid), match=r"admissionPolicy\.deciders"):
                await approver.merge_patch(ACCESS_REQUESTS, name, "acme", patch)
        with pytest.raises(Forbidden):
            await approver.list(MESSAGES, "acme")


async def test_a_reader_reads_and_who_may_view_workloads_reads_no_words(installed: Installed) -> None:
    assert await installed.ask("hours?")
    await _account(installed.kubectl.api, "default", "reader", "switchboard-reader")
    await _account(installed.kubectl.api, "default", "viewer", "view")
    async with installed.as_service_account("default", "reader") as reader:
        assert (await reader.list(MESSAGES, "acme")).items
        with pytest.raises(Forbidden):
            await reader.list(TWILIO_CONNECTORS, "acme")
    async with installed.as_service_account("default", "viewer") as viewer:
        assert (await viewer.list(TWILIO_CONNECTORS, "acme")).items
        with pytest.raises(Forbidden):
            await viewer.list(MESSAGES, "acme")


@pytest.mark.long
async def test_two_releases_live_side_by_side_each_in_namespaces_and_with_deciders_of_its_own(tmp_path: Path) -> None:
    flux = "system:serviceaccount:beta:flux"
    async with _release(tmp_path, {"namespaces": ["acme"]}) as first:
        await first.kubectl.api.create(NAMESPACES, {"metadata": {"name": "acme"}})
        await first.kubectl.api.create(NAMESPACES, {"metadata": {"name": "beta"}})
        await first.install()
        values = {
            **first.values,
            "namespaces": ["beta"],
            "crds": {"enabled": False},
            "admissionPolicy": {"deciders": [flux]},
        }
        with helm.Config(kubeconfig_path=first.kubectl.kubeconfig, namespace="other") as config:
            second = dataclasses.replace(first, config=config)
            await second.helm("install", CHART, "beta", values, create_namespace=True, wait="watcher", timeout=90)
            await first.quickstart()
            await _account(first.kubectl.api, "beta", "flux", "switchboard-approver", where="beta")
            await first.kubectl.api.create(ACCESS_REQUESTS, _request("stranger", namespace="beta"))
            async with second.as_service_account("beta", "flux") as decider:
                patch = {"spec": {"decision": "Approved", "decidedBy": flux}}
                decided = await decider.merge_patch(ACCESS_REQUESTS, "stranger", "beta", patch)
            assert decided["spec"]["decision"] == "Approved"
            await second.helm("uninstall", "beta", wait="watcher", timeout=90)
        assert await first.ask("hours?")


@pytest.mark.long
async def test_an_uninstall_gives_the_numbers_back_and_a_new_install_takes_them_again(tmp_path: Path) -> None:
    async with _release(tmp_path, {}) as release:
        await release.install()
        await release.quickstart()
        ours = await release.webhook_at_twilio()
        assert ours.startswith(release.values["publicURL"])

        await release.helm("uninstall", RELEASE, wait="watcher", timeout=120)
        assert await release.webhook_at_twilio() == OLD_WEBHOOK
        api = release.kubectl.api
        connector = await api.get(TWILIO_CONNECTORS, "production-sms", "acme")
        assert not connector["metadata"].get("finalizers")
        assert condition(connector, "Ready")["reason"] == "Releasing"
        assert condition(connector, "Ready")["status"] == "False"
        with pytest.raises(NotFound):
            await api.get(DEPLOYMENTS, OPERATOR, NAMESPACE)
        assert await api.get(CRDS, "twilioconnectors.switchboard.dev")

        await release.install()
        await release.connector("Connected")
        assert await release.webhook_at_twilio() == ours
        assert await release.ask("hours?") == "We are open 9 to 5, Monday to Friday."


@pytest.mark.long
async def test_a_release_lets_go_of_what_twilio_does_not_take_back(tmp_path: Path) -> None:
    """Without credentials nothing can be put back: it is told, and neither uninstall nor deletion waits for ever."""
    values = {"namespaces": ["acme"], "crds": {"keep": False}, "release": {"timeoutSeconds": 70}}
    async with _release(tmp_path, values) as release:
        await release.kubectl.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "acme"}}])
        await release.install()
        await release.quickstart()
        api = release.kubectl.api
        ours = await release.webhook_at_twilio()
        await api.delete(SECRETS, "twilio", "acme")
        events = asyncio.create_task(_event(api, "WebhookNotRestored"))
        await release.helm("uninstall", RELEASE, wait="watcher", timeout=120)
        event = await asyncio.wait_for(events, 30)
        assert event["involvedObject"]["name"] == "production-sms"
        assert event["type"] == "Warning"
        assert await release.webhook_at_twilio() == ours
        with pytest.raises(NotFound):
            await api.get(CRDS, "twilioconnectors.switchboard.dev")


async def _event(api: KubeApi, wanted: str) -> dict[str, Any]:
    async for event in api.watch(EVENTS, "acme"):
        for found in getattr(event, "items", None) or [getattr(event, "object", None)]:
            if found and found["reason"] == wanted:
                return dict(found)
    raise AssertionError("the watch ended")
