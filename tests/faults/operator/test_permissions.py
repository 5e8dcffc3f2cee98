"""The rules that are shipped are what the operator does: nothing is refused, and no verb is there for nothing."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.namespaces import Namespaces

from kubesandbox.client import Config
from switchboard.kube import resources
from switchboard.kube.client import KubeApi
from switchboard.kube.errors import Forbidden
from switchboard.kube.resources import AGENTS, TWILIO_CONNECTORS, ResourceType
from switchboard.reconcile import permissions
from switchboard.sandbox import stack
from switchboard.sandbox.twilio.control_models import ServiceSpec

from .conftest import OLD, PUBLIC, Site, Tenant
from .proxy import Proxy, before, write_kubeconfig

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

RBAC = "rbac.authorization.k8s.io"
Grant = tuple[str, str, str]
"""Verb, group, resource with its subresource."""
CLUSTER_ROLES = ResourceType(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = ResourceType(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
ROLES = ResourceType(RBAC, "v1", "roles", "Role")

UNSEEN = {
    # Asked by an admission plugin that not every cluster has: OwnerReferencesPermissionEnforcement.
    ("update", "switchboard.dev", "agents/finalizers"),
    ("update", "switchboard.dev", "agentrevisions/finalizers"),
    ("update", "switchboard.dev", "twilioconnectors/finalizers"),
    # Read only when a name is taken, or when finalizers changed meanwhile: a race that this run does not have.
    ("get", "switchboard.dev", "agentrevisions"),
    ("get", "switchboard.dev", "twilioconnectors"),
    # Read only when a connector goes whose credentials are gone: whether its namespace goes as well.
    ("get", "", "namespaces"),
    # Asked by the API server itself when a RoleBinding is written.
    ("bind", RBAC, "clusterroles"),
}


def granted(rules: list[dict[str, Any]]) -> set[Grant]:
    return {
        (verb, group, resource)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def done(log: list[tuple[str, str, bool, int]]) -> Iterator[Grant]:
    """What requests asked for, as RBAC names it."""
    shape = re.compile(
        r"^/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)/(?:namespaces/[^/]+/(?!$))?"
        r"(?P<resource>[a-z]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[a-z]+))?$"
    )
    for method, path, watch, status in log:
        found = shape.match(path)
        if found is None or (status in (403, 404) and method == "DELETE"):
            continue
        group, resource = found["group"] or "", found["resource"]
        if found["sub"]:
            resource += f"/{found['sub']}"
        verb = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(method)
        verb = verb or ("watch" if watch else "get" if found["name"] else "list")
        yield verb, group, resource
        if method == "PATCH" and status == 201:
            yield "create", group, resource


def role(kind: str, name: str, rules: list[dict[str, Any]], namespace: str | None = None) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata, "rules": rules}


def binding(kind: str, name: str, role_kind: str, namespace: str | None = None) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": role_kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "switchboard-operator", "namespace": "switchboard"}],
    }


@pytest.fixture
def named(request: pytest.FixtureRequest, kubeconfig: Path | None) -> Any:
    """The cluster that was named, with its node; None where each test has an embedded one."""
    return None if kubeconfig is None else request.getfixturevalue("cluster")


@asynccontextmanager
async def guarded(named: Any, directory: Path, twilio: Any, *, clusterwide: bool) -> AsyncIterator[tuple[Site, Proxy]]:
    """A cluster that enforces RBAC, and an operator's account there that may do what is shipped and no more."""
    if named is not None and clusterwide:
        pytest.skip("on a named cluster it would answer for other tests' tenants, and its roles are everybody's")
    async with AsyncExitStack() as running:
        cluster = named or await running.enter_async_context(stack.cluster(directory, options=["--rbac"]))
        kubectl = await running.enter_async_context(stack.kubectl(cluster.kubeconfig))
        await kubectl.install()
        tenants = Namespaces(kubectl, "guard", 2)
        namespaces = tenants.names
        for name in ("switchboard", *namespaces):
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await kubectl.api.apply(resources.NAMESPACES, namespace, manager="test")
        account = {"metadata": {"name": "switchboard-operator", "namespace": "switchboard"}}
        await kubectl.api.apply(resources.SERVICE_ACCOUNTS, account, manager="test")
        rules = permissions.operator_rules()
        api: KubeApi = kubectl.api
        # In every mode: a deletion must never wait for an operator that does not look there any more.
        finalizers = role("ClusterRole", "sb-finalizers", permissions.finalizer_rules())
        await api.apply(CLUSTER_ROLES, finalizers, manager="test")
        bound = binding("ClusterRoleBinding", "sb-finalizers", "ClusterRole")
        await api.apply(CLUSTER_ROLE_BINDINGS, bound, manager="test")
        if clusterwide:
            await api.apply(CLUSTER_ROLES, role("ClusterRole", "sb-operator", rules), manager="test")
            bound = binding("ClusterRoleBinding", "sb-operator", "ClusterRole")
            await api.apply(CLUSTER_ROLE_BINDINGS, bound, manager="test")
        else:
            for name in namespaces:
                await api.apply(ROLES, role("Role", "sb-operator", rules, name), manager="test")
                bound = binding("RoleBinding", "sb-operator", "Role", name)
                await api.apply(resources.ROLE_BINDINGS, bound, manager="test")
        await api.apply(ROLES, role("Role", "sb-lease", permissions.lease_rules(), namespaces[-1]), manager="test")
        bound = binding("RoleBinding", "sb-lease", "Role", namespaces[-1])
        await api.apply(resources.ROLE_BINDINGS, bound, manager="test")
        request = {"metadata": {"name": "switchboard-operator", "namespace": "switchboard"}, "spec": {}}
        token_type = resources.ResourceType("", "v1", "serviceaccounts", "TokenRequest")
        request["apiVersion"] = "authentication.k8s.io/v1"
        answer = await api.create(token_type, request, subresource="token")
        # Without the administrator's certificate: it would count more than the account's token.
        config = replace(Config.load(Path(cluster.kubeconfig)), client_certificate=None, client_key=None)
        between = await running.enter_async_context(before(config))
        limited = directory / "limited"
        write_kubeconfig(limited, between.url, answer["status"]["token"])
        environment = {
            "KUBECONFIG": str(limited),
            "SWITCHBOARD_PUBLIC_URL": PUBLIC,
            "SWITCHBOARD_TWILIO_BASE_URL": twilio.url,
            "SWITCHBOARD_LEASE_NAMESPACE": namespaces[-1],
            "SWITCHBOARD_LOG_FORMAT": "text",
        }
        if not clusterwide:
            environment["SWITCHBOARD_NAMESPACES"] = json.dumps(namespaces)
        yield Site(kubectl, twilio, between, between, tenants, environment, directory), between
        if named is not None:
            await tenants.leave(served=False)


async def everything(site: Site, tenant: Tenant) -> None:
    """All that an operator does: deploy, scale, supersede, collect, unroute, restore."""
    await tenant.apply()
    await tenant.connected()
    api, namespace = site.kubectl.api, tenant.namespace
    await moved(site, tenant)
    prompts = {"metadata": {"name": "prompts", "namespace": namespace}, "data": {"system": "Be kind."}}
    await api.apply(resources.CONFIG_MAPS, prompts, manager="test")
    model = {"name": "test:echo", "instructionsFrom": {"configMapRef": {"name": "prompts", "key": "system"}}}
    scaling = {"minReplicas": 2, "maxReplicas": 3}
    for name, template in (
        ("v2", {"engine": {"model": model}, "webhook": {"autoscaling": scaling, "replicas": 0}}),
        ("v3", {"engine": {"script": {"fallback": "x"}}, "webhook": {"replicas": 0}}),
    ):
        spec = {"template": {"name": name, **template}, "revisionHistoryLimit": 0}
        agent = {"metadata": {"name": "support", "namespace": namespace}, "spec": spec}
        await api.apply(AGENTS, agent, manager=stack.MANAGER)
        kind = resources.HPAS if name == "v2" else resources.DEPLOYMENTS
        await site.kubectl.until(kind, f"support-{name}", lambda _: True, namespace)
        if name == "v2":
            await site.kubectl.until(resources.PDBS, "support-v2", lambda _: True, namespace)
    await site.kubectl.until(AGENTS, "support", lambda it: it["status"].get("liveRevision") == "support-v3", namespace)
    drain = {"revision": "support-v3", "working": 0}
    said = {"metadata": {"name": "support-v1", "namespace": namespace}, "status": {"drain": drain}}
    await api.apply(resources.AGENT_REVISIONS, said, manager="webhook", subresource="status")
    for name in ("support-v1", "support-v2"):
        await site.kubectl.until(resources.AGENT_REVISIONS, name, lambda _: False, namespace, gone=True)
    await site.kubectl.until(resources.INGRESSES, "support-webhook", lambda _: False, namespace, gone=True)
    await tenant.end()
    assert await tenant.webhook() == OLD


async def moved(site: Site, tenant: Tenant) -> None:
    """Has the number sit in a messaging service: another place whose webhook is kept before it is written."""
    service = await site.twilio.control.add_service(tenant.account, ServiceSpec(numbers=[tenant.number]))
    patch = {"metadata": {"annotations": {"switchboard.dev/test": "moved"}}, "spec": {"webhookScope": "Service"}}
    await site.kubectl.api.merge_patch(TWILIO_CONNECTORS, "sms", tenant.namespace, patch)
    await site.kubectl.until(
        TWILIO_CONNECTORS,
        "sms",
        lambda it: [entry.get("sid") for entry in it["status"].get("channels", ())] == [service.sid],
        tenant.namespace,
    )


@pytest.mark.parametrize("clusterwide", [True, False], ids=["all namespaces", "named namespaces"])
async def test_nothing_is_refused_and_no_verb_is_there_for_nothing(
    named: Any, tmp_path: Path, twilio: Any, *, clusterwide: bool
) -> None:
    async with guarded(named, tmp_path, twilio, clusterwide=clusterwide) as (site, between):
        async with site.operator():
            try:
                await everything(site, await site.tenant())
            finally:
                refused = {f"{method} {path}" for method, path, _, status in between.log if status == 403}
                assert refused == set()
        used = set(done(between.log))
    rules = granted(permissions.operator_rules()) | granted(permissions.lease_rules())
    assert used <= rules | granted(permissions.finalizer_rules())
    assert rules - used - UNSEEN == set()


async def test_a_deletion_in_a_namespace_that_nobody_watches_does_not_wait_for_ever(
    named: Any, tmp_path: Path, twilio: Any
) -> None:
    async with guarded(named, tmp_path, twilio, clusterwide=False) as (site, _):
        metadata = {"name": "left", "namespace": "switchboard", "finalizers": ["switchboard.dev/release"]}
        spec = {"credentials": {"secretRef": {"name": "twilio"}}, "fromNumber": twilio.number()}
        api = site.kubectl.api
        await api.create(resources.TWILIO_CONNECTORS, {"metadata": metadata, "spec": spec})
        await api.delete(resources.TWILIO_CONNECTORS, "left", "switchboard")
        async with site.operator(SWITCHBOARD_RELEASE_SECONDS="1"):
            await site.kubectl.until(
                resources.TWILIO_CONNECTORS, "left", lambda _: False, "switchboard", timeout=20, gone=True
            )


async def test_one_verb_less_and_it_is_refused(named: Any, tmp_path: Path, twilio: Any) -> None:
    """The cluster does enforce: without the right to bind the webhooks' role nothing is deployed."""
    async with guarded(named, tmp_path, twilio, clusterwide=True) as (site, between):
        rules = [rule for rule in permissions.operator_rules() if "bind" not in rule["verbs"]]
        await site.kubectl.api.apply(CLUSTER_ROLES, role("ClusterRole", "sb-operator", rules), manager="test")
        async with site.operator():
            tenant = await site.tenant()
            await tenant.apply()
            async with asyncio.timeout(20):
                while not any(status == 403 and "/rolebindings/" in path for _, path, _, status in between.log):
                    await asyncio.sleep(0.05)
        with pytest.raises(Exception, match="support-v1"):
            await site.kubectl.api.get(resources.DEPLOYMENTS, "support-v1", tenant.namespace)


async def test_a_webhooks_account_can_do_what_its_log_needs_in_its_own_namespace_only(
    named: Any, tmp_path: Path, twilio: Any
) -> None:
    async with guarded(named, tmp_path, twilio, clusterwide=True) as (site, between):
        async with site.operator():
            tenant = await site.tenant()
            await tenant.apply()
            await tenant.connected()
        other = site.namespaces.names[-1]
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": "support-v1", "namespace": tenant.namespace},
            "spec": {},
        }
        token_type = resources.ResourceType("", "v1", "serviceaccounts", "TokenRequest")
        answer = await site.kubectl.api.create(token_type, request, subresource="token")
        write_kubeconfig(tmp_path / "webhook", between.url, answer["status"]["token"])
        async with stack.kubectl(tmp_path / "webhook") as webhook:
            api = webhook.api
            assert (await api.list(AGENTS, tenant.namespace)).items
            await api.list(resources.MESSAGES, tenant.namespace)
            for kind, namespace in (
                (resources.SECRETS, tenant.namespace),
                (resources.CONFIG_MAPS, tenant.namespace),
                (resources.PODS, tenant.namespace),
                (AGENTS, other),
                (resources.MESSAGES, other),
                (AGENTS, None),
            ):
                with pytest.raises(Forbidden):
                    await api.list(kind, namespace)
            with pytest.raises(Forbidden):
                await api.delete(AGENTS, "support", tenant.namespace)
