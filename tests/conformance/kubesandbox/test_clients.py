"""What people use against a cluster works unchanged here: kopf, the official client both ways, Helm's engine."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.kubesandbox.conftest import serving
from tests.conformance.kubesandbox.http import Api, definition

from kubesandbox import kubeconfig
from kubesandbox.assembly import Options, Sandbox

LINES = "/apis/kopf.example.com/v1/namespaces/default/lines"
OPERATOR = """
import kopf

@kopf.on.startup()
def configure(settings, **_):
    settings.persistence.finalizer = "kopf.example.com/finalizer"

@kopf.on.create("kopf.example.com", "lines")
async def created(body, patch, **_):
    patch.status["seen"] = "created"
    kopf.info(body, reason="Seen", message="a line")

@kopf.on.update("kopf.example.com", "lines")
async def updated(spec, patch, **_):
    patch.status["seen"] = f"replicas {spec['replicas']}"

@kopf.on.delete("kopf.example.com", "lines")
async def deleted(**_):
    pass
"""


@pytest.fixture
def config(api: Sandbox, tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    kubeconfig.write(path, api.url)
    return path


@pytest.fixture
def kopf_operator(ask: Api, config: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": anything, "status": anything}}
    version = {"name": "v1", "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    ask("POST", crds, definition("lines", "kopf.example.com", version))
    script = tmp_path / "operator.py"
    script.write_text(OPERATOR)
    command = [sys.executable, "-m", "kopf", "run", str(script), "--standalone", "--namespace=default", "--quiet"]
    environment = {**os.environ, "KUBECONFIG": str(config)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        yield process
        process.terminate()


def test_a_kopf_operator_follows_an_object_from_its_creation_to_its_deletion(
    ask: Api, kopf_operator: subprocess.Popen[bytes]
) -> None:
    body = {"apiVersion": "kopf.example.com/v1", "kind": "Line", "metadata": {"name": "a"}, "spec": {"replicas": 1}}
    ask.good("POST", LINES, body)
    ask.until(f"{LINES}/a", lambda reply: reply.body.get("status", {}).get("seen") == "created")
    ask.merge(f"{LINES}/a", {"spec": {"replicas": 2}})
    ask.until(f"{LINES}/a", lambda reply: reply.body["status"]["seen"] == "replicas 2")
    events = "/api/v1/namespaces/default/events"
    ask.until(events, lambda reply: "Seen" in [event["reason"] for event in reply.body["items"]])
    ask.good("DELETE", f"{LINES}/a")
    ask.gone(f"{LINES}/a")
    assert kopf_operator.poll() is None


def test_the_official_client_reads_writes_patches_and_watches(config: Path, space: str) -> None:
    script = """
    import sys
    from kubernetes import client, config, watch
    config.load_kube_config(sys.argv[1])
    core, space = client.CoreV1Api(), sys.argv[2]
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="c"), data={"a": "1"})
    core.create_namespaced_config_map(space, body)
    core.patch_namespaced_config_map("c", space, {"data": {"b": "2"}})
    assert core.read_namespaced_config_map("c", space).data == {"a": "1", "b": "2"}
    stream = watch.Watch().stream(core.list_namespaced_config_map, space, timeout_seconds=1)
    assert [(e["type"], e["object"].metadata.name) for e in stream] == [("ADDED", "c")]
    try:
        core.read_namespaced_config_map("none", space)
    except client.ApiException as error:
        assert (error.status, error.reason) == (404, "Not Found")
    else:
        raise AssertionError("found what is not there")
    core.delete_namespaced_config_map("c", space)
    review = client.V1SelfSubjectAccessReview(
        spec=client.V1SelfSubjectAccessReviewSpec(
            resource_attributes=client.V1ResourceAttributes(verb="get", resource="pods")
        )
    )
    assert client.AuthorizationV1Api().create_self_subject_access_review(review).status.allowed
    """
    run(script, str(config), space)


def test_the_official_asynchronous_client_does_so_too(config: Path, space: str) -> None:
    script = """
    import asyncio, sys
    from kubernetes.aio import client, config, watch

    async def main(path, space):
        await config.load_kube_config(path)
        async with client.ApiClient() as api:
            core = client.CoreV1Api(api)
            secret = client.V1Secret(metadata=client.V1ObjectMeta(name="s"), string_data={"a": "b"})
            await core.create_namespaced_secret(space, secret)
            stream = watch.Watch().stream(core.list_namespaced_secret, space, timeout_seconds=1)
            assert [event["object"].data async for event in stream] == [{"a": "Yg=="}]

    asyncio.run(main(*sys.argv[1:]))
    """
    run(script, str(config), space)


def run(script: str, *arguments: str) -> None:
    """Run a client in a process of its own, as people's programs are."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


CHART = {
    "Chart.yaml": "apiVersion: v2\nname: demo\nversion: 0.1.0\n",
    "values.yaml": "greeting: hello\n",
    "crds/crd.yaml": """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: notes.helm.example.com}
spec:
  group: helm.example.com
  scope: Namespaced
  names: {plural: notes, singular: note, kind: Note, listKind: NoteList}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
""",
    "templates/all.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {greeting: {{ .Values.greeting | quote }}}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec: {selector: {app: demo}, ports: [{port: 80}]}
---
apiVersion: helm.example.com/v1
kind: Note
metadata: {name: {{ .Release.Name }}}
""",
}


def test_helms_engine_installs_upgrades_rolls_back_and_uninstalls(ask: Api, config: Path, tmp_path: Path) -> None:
    helm = pytest.importorskip("helm_python", reason="helm-python-sdk has no wheel for this platform")
    for name, text in CHART.items():
        path = tmp_path / "demo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    chart, greeting = str(tmp_path / "demo"), "/api/v1/namespaces/helmed/configmaps/demo"
    with helm.Config(kubeconfig_path=str(config), namespace="helmed") as engine:
        installed = engine.install(chart, "demo", wait="watcher", timeout=30, create_namespace=True)
        assert (installed["revision"], installed["status"]) == (1, "deployed")
        assert ask("GET", "/apis/helm.example.com/v1/namespaces/helmed/notes/demo").status == 200
        engine.upgrade(chart, "demo", {"greeting": "bye"}, wait="watcher", timeout=30)
        assert ask.good("GET", greeting)["data"] == {"greeting": "bye"}
        engine.rollback("demo", version=1)
        assert ask.good("GET", greeting)["data"] == {"greeting": "hello"}
        statuses = [release["status"] for release in engine.history("demo")]
        assert statuses == ["superseded", "superseded", "deployed"]
        engine.uninstall("demo")
    ask.gone(greeting)
    ask.good("DELETE", "/api/v1/namespaces/helmed")


@pytest.fixture(scope="module")
def whole() -> Iterator[Sandbox]:
    """A sandbox with controllers and node."""
    with serving(Options()) as sandbox:
        yield sandbox


def test_a_deployments_pods_run_and_tell_their_logs(whole: Sandbox) -> None:
    ask = Api(whole.url)
    container = {"name": "main", "image": "any", "command": ["sh", "-c", "echo hello; exec sleep 600"]}
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    path = "/apis/apps/v1/namespaces/default/deployments"
    ask.until("/api/v1/namespaces/default/serviceaccounts/default", lambda reply: reply.status == 200)
    ask.good("POST", path, {"metadata": {"name": "web"}, "spec": spec})
    ask.until(f"{path}/web", lambda reply: reply.body["status"].get("availableReplicas") == 1)
    pods = "/api/v1/namespaces/default/pods"
    name = ask.good("GET", pods, labelSelector="app=web")["items"][0]["metadata"]["name"]
    ask.until(f"{pods}/{name}/log", lambda reply: reply.body == "hello\n")
    assert ask.good("GET", f"{pods}/{name}/log", tailLines="0") == ""
    wrong = ask("GET", f"{pods}/{name}/log", container="other")
    assert (wrong.status, wrong.body["message"]) == (400, f"container other is not valid for pod {name}")
    ask.good("DELETE", f"{path}/web")
    ask.gone(f"{pods}/{name}")
