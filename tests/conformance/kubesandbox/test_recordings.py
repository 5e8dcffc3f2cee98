"""Every recorded request is answered as kube-apiserver v1.36.2 answered it.

A recording is one test, since its steps build on each other and workers that shared it would each replay it; the report
names each step that differs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.kubesandbox import session, transcript
from tests.conformance.kubesandbox.conftest import serving

from kubesandbox import kubeconfig
from kubesandbox.assembly import Options, Sandbox

NAMES = ("core", "custom", "workloads", "watch", "discovery")
BEYOND = ("core", "definitions", "custom", "workloads", "watch", "refusals", "rarer", "tables", "odd")
SESSIONS = ("kubectl", "beyond/kubectl", "beyond/explain")
KUBECTL = shutil.which("kubectl")


@pytest.mark.parametrize("name", [*NAMES, *(f"beyond/{name}" for name in BEYOND)])
def test_the_recorded_requests_are_answered_as_kube_apiserver_does(name: str, api: Sandbox) -> None:
    steps = transcript.load(name)
    found = transcript.Replay(api.url).run(steps)
    assert len(found) == len(steps) > 5
    told = {
        f"{index}: {step['name']}": differs for index, (step, differs) in enumerate(zip(steps, found, strict=True), 1)
    }
    assert {step: differs for step, differs in told.items() if differs} == {}


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    """A server of a session's own: what other recordings define would be listed among what it defines."""
    with serving(Options(controllers=False, node=False)) as sandbox:
        path = tmp_path / "kubeconfig"
        kubeconfig.write(path, sandbox.url)
        yield path


@pytest.mark.long
@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on the PATH")
@pytest.mark.parametrize("name", SESSIONS)
def test_kubectl_prints_what_it_prints_on_kube_apiserver(name: str, config: Path) -> None:
    assert KUBECTL is not None
    steps = session.load(transcript.RECORDINGS / f"{name}.json")
    found = session.run(steps, KUBECTL, config)
    assert len(found) == len(steps) > 10
    told = {
        f"{index}: kubectl {' '.join(step['args'])}": differs
        for index, (step, differs) in enumerate(zip(steps, found, strict=True), 1)
    }
    assert {step: differs for step, differs in told.items() if differs is not None} == {}
