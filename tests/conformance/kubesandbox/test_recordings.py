"""Every recorded request is answered as kube-apiserver v1.36.2 answered it.

A recording is replayed as a whole, once a worker, since its steps build on each other; each step is then a test of its
own, so that the report names what differs.
"""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import pytest
from tests.conformance.kubesandbox import session, transcript

from kubesandbox import kubeconfig
from kubesandbox.assembly import Sandbox

NAMES = ("core", "custom", "workloads", "watch", "discovery")
BEYOND = ("core", "definitions", "custom", "workloads", "watch")
SESSIONS = ("kubectl", "beyond/kubectl")
KUBECTL = shutil.which("kubectl")


@cache
def replayed(name: str, url: str) -> list[list[str]]:
    return transcript.Replay(url).run(transcript.load(name))


@cache
def session_replayed(name: str, config: Path) -> list[str | None]:
    assert KUBECTL is not None
    return session.run(session.load(transcript.RECORDINGS / f"{name}.json"), KUBECTL, config)


def steps() -> list[object]:
    found = []
    for name in (*NAMES, *(f"beyond/{name}" for name in BEYOND)):
        for index, step in enumerate(transcript.load(name)):
            found.append(pytest.param(name, index, id=f"{name} {index + 1}: {step['name']}"))
    return found


def commands() -> list[object]:
    found = []
    for name in SESSIONS:
        for index, step in enumerate(session.load(transcript.RECORDINGS / f"{name}.json")):
            found.append(pytest.param(name, index, id=f"{name} {index + 1}: kubectl {' '.join(step['args'])}"))
    return found


@pytest.mark.parametrize(("name", "index"), steps())
def test_the_recorded_request_is_answered_as_kube_apiserver_does(name: str, index: int, api: Sandbox) -> None:
    assert replayed(name, api.url)[index] == []


@pytest.fixture(scope="session")
def config(api: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kubectl") / "kubeconfig"
    kubeconfig.write(path, api.url)
    return path


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on the PATH")
@pytest.mark.parametrize(("name", "index"), commands())
def test_kubectl_prints_what_it_prints_on_kube_apiserver(name: str, index: int, config: Path) -> None:
    assert session_replayed(name, config)[index] is None
