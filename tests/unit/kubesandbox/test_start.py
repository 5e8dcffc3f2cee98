"""What a start does not load: it is to be ready in less than 300 ms, and each of these waits for who needs it."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

LATER = [
    "aiohttp",  # the controllers' and the node's client, loaded beside the event loop
    "cryptography",  # with --tls
    "yaml",
    "kubesandbox.builtin.protobuf",
    "kubesandbox.eviction",
    "kubesandbox.node",
    "kubesandbox.openapi",
    "kubesandbox.patching",
    "kubesandbox.podlogs",
    "kubesandbox.scale",
    "kubesandbox.schema.cel.checker",
    "kubesandbox.schema.compiled",
    "kubesandbox.subresources",
    "kubesandbox.tls",
]


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    script = "import sys\nfrom kubesandbox.assembly import new_cluster\nnew_cluster()\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", LATER)
def test_a_cluster_is_there_before_it_is_loaded(module: str, loaded: set[str]) -> None:
    assert find_spec(module) is not None
    assert "kubesandbox.assembly" in loaded
    assert module not in loaded
