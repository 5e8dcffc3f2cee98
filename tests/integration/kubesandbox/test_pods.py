"""Pods run as processes, as a kubelet would run them as containers."""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path

from tests.integration.kubesandbox.world import World, condition, phase, restarts, running, state_of, waiting_reason

from kubesandbox.client.resources import CONFIG_MAPS, EVENTS, PODS, SECRETS, SERVICE_ACCOUNTS

SLEEP = ["sleep", "1000"]


def ready(obj: dict[str, object]) -> bool:
    return condition(obj, "Ready").get("status") == "True"


async def events(world: World, name: str) -> list[tuple[str, str]]:
    return [
        (event["reason"], event["message"])
        for event in await world.list(EVENTS)
        if event["involvedObject"]["name"] == name
    ]


async def test_a_pod_runs_reports_itself_and_goes_with_its_grace(world: World, tmp_path: Path) -> None:
    stopped = tmp_path / "stopped"
    script = f"trap 'echo bye > {stopped}; exit 0' TERM; echo up; while true; do sleep 0.02; done"
    await world.pod("one", ["sh", "-c", script])
    pod = await world.until(PODS, "one", ready)
    assert pod["status"]["podIP"].startswith("10.")
    assert pod["status"]["hostIP"] == "127.0.0.1"
    assert pod["status"]["containerStatuses"][0]["started"] is True
    assert {c["type"] for c in pod["status"]["conditions"]} == {
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    }
    await world.log_until("one", "up")
    await world.client.delete(PODS, world.namespace, "one")
    await world.gone(PODS, "one")
    assert stopped.read_text() == "bye\n"


async def test_a_process_that_ignores_sigterm_is_killed_when_its_grace_is_over(world: World) -> None:
    await world.pod(
        "deaf", ["sh", "-c", "trap '' TERM; while true; do sleep 0.05; done"], terminationGracePeriodSeconds=2
    )
    await world.until(PODS, "deaf", ready)
    before = time.monotonic()
    await world.client.delete(PODS, world.namespace, "deaf")
    await world.gone(PODS, "deaf")
    assert 1.9 < time.monotonic() - before < 8


async def test_the_environment_comes_from_all_its_sources(world: World) -> None:
    await world.create(CONFIG_MAPS, "settings", data={"COLOR": "green", "SIZE": "xl"})
    secret = base64.b64encode(b"s3cret").decode()
    await world.create(SECRETS, "keys", data={"token": secret})
    env = [
        {"name": "PLAIN", "value": "a"},
        {"name": "JOINED", "value": "$(PLAIN)-$(COLOR)-$$(PLAIN)-$(NOBODY)"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
        {"name": "ABSENT", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "x", "optional": True}}},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['tier']"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
    ]
    container = {
        "env": env,
        "envFrom": [{"prefix": "CM_", "configMapRef": {"name": "settings"}}, {"configMapRef": {"name": "settings"}}],
        "resources": {"limits": {"cpu": "1500m"}},
        "args": ["-c", "env; echo got $(PLAIN)"],
    }
    await world.client.create(
        PODS,
        {
            "metadata": {"name": "env", "namespace": world.namespace, "labels": {"tier": "gold"}},
            "spec": {
                "restartPolicy": "Never",
                "nodeName": world.node.name,
                "containers": [{"name": "main", "image": "none", "command": ["sh"], **container}],
            },
        },
    )
    await world.until(PODS, "env", lambda pod: phase(pod) == "Succeeded")
    lines = (await world.log("env")).splitlines()
    for expected in (
        "JOINED=a-green-$(PLAIN)-$(NOBODY)",
        "TOKEN=s3cret",
        "NAME=env",
        "LABEL=gold",
        "CPU=1500",
        "CM_SIZE=xl",
        "SIZE=xl",
        "got a",
    ):
        assert expected in lines
    assert re.search(r"^IP=127\.", "\n".join(lines), re.MULTILINE)
    assert not any(line.startswith(("ABSENT=", "SECRET_OF_THE_NODE=")) for line in lines)


async def test_a_missing_reference_is_waited_for_and_named(world: World) -> None:
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "a"}}}]
    await world.pod("waits", SLEEP, container={"env": env})
    pod = await world.until(PODS, "waits", lambda pod: waiting_reason(pod) == "CreateContainerConfigError")
    assert state_of(pod)["waiting"]["message"] == 'configmap "late" not found'
    assert pod["status"]["phase"] == "Pending"
    await world.create(CONFIG_MAPS, "late", data={"b": "1"})
    text = f"couldn't find key a in ConfigMap {world.namespace}/late"
    await world.until(PODS, "waits", lambda pod: (state_of(pod).get("waiting") or {}).get("message") == text)
    await world.client.patch(CONFIG_MAPS, world.namespace, "late", {"data": {"a": "1"}})
    await world.until(PODS, "waits", running)
    assert ("Failed", 'Error: configmap "late" not found') in await events(world, "waits")


async def test_volumes_show_their_sources_and_follow_them(world: World) -> None:
    await world.create(CONFIG_MAPS, "settings", data={"color": "green"})
    await world.create(SECRETS, "keys", data={"token": base64.b64encode(b"s3cret").decode()})
    volumes = [
        {"name": "settings", "configMap": {"name": "settings"}},
        {"name": "scratch", "emptyDir": {}},
        {
            "name": "all",
            "projected": {
                "sources": [
                    {"secret": {"name": "keys", "items": [{"key": "token", "path": "deep/token"}]}},
                    {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                    {"serviceAccountToken": {"path": "jwt", "expirationSeconds": 600, "audience": "test"}},
                ]
            },
        },
    ]
    mounts = [
        {"name": "settings", "mountPath": "/etc/settings"},
        {"name": "scratch", "mountPath": "/scratch"},
        {"name": "all", "mountPath": "/var/all"},
    ]
    script = (
        "cat /etc/settings/color; echo; cat /var/all/deep/token /var/all/name; echo; test -s /var/all/jwt && echo jwt;"
        "echo x > /scratch/x && cat $WHERE/x;"
        "until [ $(cat /etc/settings/color) = blue ]; do sleep 0.05; done; echo now blue; sleep 1000"
    )
    container = {"volumeMounts": mounts, "env": [{"name": "WHERE", "value": "/scratch"}]}
    await world.pod("files", ["sh", "-c", script], container=container, volumes=volumes)
    await world.until(PODS, "files", running)
    await world.log_until("files", "x")  # what runs has not yet read
    await world.client.patch(CONFIG_MAPS, world.namespace, "settings", {"data": {"color": "blue"}})
    assert await world.log_until("files", "now blue") == ["green", "s3cretfiles", "jwt", "x", "now blue"]


async def test_a_missing_volume_source_keeps_the_pod_creating(world: World) -> None:
    volumes = [{"name": "v", "configMap": {"name": "late"}}]
    await world.pod("mounts", SLEEP, volumes=volumes)
    event = 'MountVolume.SetUp failed for volume "v" : configmap "late" not found'
    assert (await world.event("mounts", "FailedMount"))["message"] == event
    assert not running(await world.get(PODS, "mounts"))
    await world.create(CONFIG_MAPS, "late", data={})
    await world.until(PODS, "mounts", running)


async def test_init_containers_run_in_order_before_the_rest(world: World, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    initial = [
        {"name": name, "image": "none", "command": ["sh", "-c", f"echo {name} >> {trace}"]} for name in ("one", "two")
    ]
    await world.pod("init", ["sh", "-c", f"echo main >> {trace}; sleep 1000"], initContainers=initial)
    pod = await world.until(PODS, "init", ready)
    assert [s["state"]["terminated"]["reason"] for s in pod["status"]["initContainerStatuses"]] == ["Completed"] * 2
    assert trace.read_text().split() == ["one", "two", "main"]


async def test_a_failing_init_container_fails_a_pod_that_never_restarts(world: World) -> None:
    initial = [{"name": "check", "image": "none", "command": ["sh", "-c", "echo no > /dev/termination-log; exit 3"]}]
    await world.pod("fails", SLEEP, initContainers=initial, restartPolicy="Never")
    pod = await world.until(PODS, "fails", lambda pod: phase(pod) == "Failed")
    ended = state_of(pod, "initContainerStatuses")["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "no\n")
    assert waiting_reason(pod) == "PodInitializing"


async def test_what_keeps_failing_is_restarted_with_back_off_and_keeps_its_previous_log(world: World) -> None:
    await world.pod("crash", ["sh", "-c", "echo run; exit 7"])
    pod = await world.until(PODS, "crash", lambda pod: waiting_reason(pod) == "CrashLoopBackOff")
    metadata = pod["metadata"]
    message = f"restarting failed container=main pod=crash_{world.namespace}({metadata['uid']})"
    assert message in state_of(pod)["waiting"]["message"]
    assert pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 7
    await world.until(PODS, "crash", lambda pod: restarts(pod) >= 2)
    assert await world.log("crash", previous="true") == "run\n"
    await world.event("crash", "BackOff")


async def test_restart_on_failure_ends_with_success(world: World, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    await world.pod("again", ["sh", "-c", f"test -e {flag} || {{ touch {flag}; exit 1; }}"], restartPolicy="OnFailure")
    pod = await world.until(PODS, "again", lambda pod: phase(pod) == "Succeeded")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 1


async def test_a_container_without_a_command_says_that_images_are_not_pulled(world: World) -> None:
    await world.create(PODS, "image", spec={"containers": [{"name": "main", "image": "nginx:1"}]})
    pod = await world.until(PODS, "image", lambda pod: waiting_reason(pod) == "ImagePullBackOff")
    assert "pulls no images" in state_of(pod)["waiting"]["message"]


async def test_a_command_that_is_not_there_is_named(world: World) -> None:
    await world.pod("absent", ["no-such-program"], restartPolicy="Never")
    pod = await world.until(PODS, "absent", lambda pod: phase(pod) == "Failed")
    ended = state_of(pod)["terminated"]
    assert ended["reason"] == "StartError"
    assert ended["message"] == 'exec: "no-such-program": executable file not found in $PATH'


async def test_a_failing_liveness_probe_restarts_the_container(world: World, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    alive.touch()
    probe = {"exec": {"command": ["test", "-e", str(alive)]}, "periodSeconds": 1, "failureThreshold": 1}
    await world.pod("live", SLEEP, container={"livenessProbe": probe})
    await world.until(PODS, "live", ready)
    alive.unlink()
    await world.until(PODS, "live", lambda pod: restarts(pod) >= 1)
    alive.touch()
    killing = await world.event("live", "Killing")
    assert killing["message"] == "Container main failed liveness probe, will be restarted"


async def test_readiness_waits_for_startup_and_follows_the_probe(world: World, tmp_path: Path) -> None:
    started, serving = tmp_path / "started", tmp_path / "serving"

    def probe(path: Path) -> dict[str, object]:
        return {"exec": {"command": ["test", "-e", str(path)]}, "periodSeconds": 1, "failureThreshold": 60}

    container = {"startupProbe": probe(started), "readinessProbe": {**probe(serving), "failureThreshold": 1}}
    serving.touch()
    await world.pod("probed", SLEEP, container=container)
    pod = await world.until(PODS, "probed", running)
    assert pod["status"]["containerStatuses"][0]["started"] is False
    assert condition(pod, "Ready")["message"] == "containers with unready status: [main]"
    started.touch()
    await world.until(PODS, "probed", ready)
    serving.unlink()
    await world.until(PODS, "probed", lambda pod: not ready(pod))


async def test_logs_are_cut_followed_and_stamped(world: World) -> None:
    await world.pod("talks", ["sh", "-c", "for i in 1 2 3 4; do echo line $i; done; exit 0"], restartPolicy="Never")
    await world.until(PODS, "talks", lambda pod: phase(pod) == "Succeeded")
    assert await world.log("talks") == "line 1\nline 2\nline 3\nline 4\n"
    assert await world.log("talks", tailLines="2") == "line 3\nline 4\n"
    assert await world.log("talks", limitBytes="6") == "line 1"
    assert await world.log("talks", follow="true") == "line 1\nline 2\nline 3\nline 4\n"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\S+Z line 4\n", await world.log("talks", timestamps="true", tailLines="1"))
    assert await world.log("talks", sinceTime="2100-01-01T00:00:00Z") == ""


async def test_a_pod_logs_in_with_its_service_account(world: World) -> None:
    await world.create(SERVICE_ACCOUNTS, "robot")
    script = (
        "import os, yaml, pathlib; p = pathlib.Path(os.environ['KUBECONFIG']); c = yaml.safe_load(p.read_text());"
        "t = p.parent / c['users'][0]['user']['tokenFile'];"
        "print(c['clusters'][0]['cluster']['server'], bool(t.read_text()))"
    )
    await world.pod("robot", ["python", "-c", script], serviceAccountName="robot", restartPolicy="Never")
    await world.until(PODS, "robot", lambda pod: phase(pod) == "Succeeded")
    assert await world.log("robot") == f"{world.client.config.server} True\n"


async def test_a_pod_that_a_finalizer_keeps_is_ended_once_and_not_run_again(world: World, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    body = {"name": "main", "image": "none", "command": ["sh", "-c", f"echo x >> {starts}; sleep 1000"]}
    metadata = {"name": "kept", "namespace": world.namespace, "finalizers": ["example.com/keep"]}
    spec = {"containers": [body], "terminationGracePeriodSeconds": 1, "nodeName": world.node.name}
    await world.client.create(PODS, {"metadata": metadata, "spec": spec})
    await world.until(PODS, "kept", lambda pod: starts.exists() and running(pod))
    await world.client.delete(PODS, world.namespace, "kept")
    await world.until(PODS, "kept", lambda pod: phase(pod) in {"Failed", "Succeeded"})
    await world.client.patch(PODS, world.namespace, "kept", {"metadata": {"labels": {"touched": "yes"}}})
    await world.client.patch(PODS, world.namespace, "kept", {"metadata": {"finalizers": None}})
    await world.gone(PODS, "kept")
    assert starts.read_text() == "x\n"


async def test_a_sidecar_starts_first_and_ends_last(world: World, tmp_path: Path) -> None:
    trace = tmp_path / "trace"

    def script(name: str) -> list[str]:
        ending = f"trap 'echo {name} ends >> {trace}; exit 0' TERM"
        return ["sh", "-c", f"{ending}; echo {name} >> {trace}; while true; do sleep 0.02; done"]

    started = {"exec": {"command": ["grep", "-q", "proxy", str(trace)]}, "periodSeconds": 1}
    sidecar = {"name": "proxy", "image": "none", "command": script("proxy"), "restartPolicy": "Always"}
    await world.pod("meshed", script("main"), initContainers=[{**sidecar, "startupProbe": started}])
    await world.until(PODS, "meshed", lambda pod: ready(pod) and "main" in trace.read_text())
    await world.client.delete(PODS, world.namespace, "meshed")
    await world.gone(PODS, "meshed")
    assert trace.read_text().split("\n") == ["proxy", "main", "main ends", "proxy ends", ""]


async def test_a_shorter_grace_period_cuts_a_longer_one_short(world: World) -> None:
    await world.pod("slow", ["sh", "-c", "trap '' TERM; echo up; while true; do sleep 0.05; done"])
    await world.until(PODS, "slow", running)
    await world.log_until("slow", "up")
    await world.client.delete(PODS, world.namespace, "slow", grace_seconds=600)
    await world.until(PODS, "slow", lambda pod: pod["metadata"].get("deletionTimestamp"))
    before = time.monotonic()
    await world.client.delete(PODS, world.namespace, "slow", grace_seconds=1)
    await world.gone(PODS, "slow")
    assert time.monotonic() - before < 15


async def test_a_pod_without_credentials_has_no_kubeconfig_and_a_folder_of_its_own(world: World) -> None:
    script = "echo ${KUBECONFIG:-none}; ls -A $TMPDIR | wc -l; pwd"
    await world.pod("plain", ["sh", "-c", script], automountServiceAccountToken=False, restartPolicy="Never")
    pod = await world.until(PODS, "plain", lambda pod: phase(pod) == "Succeeded")
    none, empty, folder = (await world.log("plain")).splitlines()
    assert (none, empty.strip()) == ("none", "0")
    assert pod["metadata"]["uid"] in folder
