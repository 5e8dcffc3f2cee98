"""The ways to an API server."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from switchboard.kube import access
from switchboard.kube.access import AccessError, discover, from_kubeconfig, in_cluster


def kubeconfig(tmp_path: Path, *, user: Any = None, cluster: Any = None, current: str = "c") -> Path:
    path = tmp_path / "kubeconfig"
    document = {
        "current-context": current,
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "acme"}}],
        "clusters": [{"name": "k", "cluster": {"server": "http://127.0.0.1:1/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


async def test_a_token_in_the_kubeconfig(tmp_path: Path) -> None:
    found = await from_kubeconfig(kubeconfig(tmp_path, user={"token": "t"}))
    assert (found.server, found.namespace) == ("http://127.0.0.1:1", "acme")
    assert await found.authorization.header() == "Bearer t"


async def test_a_token_file_is_read_again_when_it_may_have_been_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "TOKEN_SECONDS", 0)
    (tmp_path / "token").write_text("one\n")
    found = await from_kubeconfig(kubeconfig(tmp_path, user={"tokenFile": "token"}))
    assert await found.authorization.header() == "Bearer one"
    (tmp_path / "token").write_text("two\n")
    assert await found.authorization.header() == "Bearer two"


async def test_a_user_name_and_a_password(tmp_path: Path) -> None:
    found = await from_kubeconfig(kubeconfig(tmp_path, user={"username": "u", "password": "p"}))
    assert await found.authorization.header() == "Basic " + base64.b64encode(b"u:p").decode()


async def test_nobody_in_particular_sends_no_header(tmp_path: Path) -> None:
    found = await from_kubeconfig(kubeconfig(tmp_path))
    assert await found.authorization.header() is None


async def test_a_log_in_plug_in_is_asked(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    credential = (
        '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"from-plugin"}}'
    )
    plugin.write_text(f"#!/bin/sh\necho '{credential}'\n")
    plugin.chmod(0o755)
    user = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    }
    found = await from_kubeconfig(kubeconfig(tmp_path, user=user))
    assert await found.authorization.header() == "Bearer from-plugin"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"current": "other"}, "contexts holds no 'other'"),
        ({"current": ""}, "current-context is empty"),
        ({"cluster": {"server": ""}}, "server is missing"),
        ({"cluster": {"server": "https://x", "certificate-authority-data": "%%%"}}, "is not base64"),
        ({"cluster": {"server": "https://x", "certificate-authority": "absent.crt"}}, "absent.crt cannot be read"),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_says_which_field(tmp_path: Path, change: Any, says: str) -> None:
    with pytest.raises(AccessError, match=says):
        await from_kubeconfig(kubeconfig(tmp_path, **change))


async def test_a_file_that_is_not_there_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="Set KUBECONFIG"):
        await from_kubeconfig(tmp_path / "absent")


async def test_the_environment_names_the_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, user={"token": "t"})))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert (await discover()).server == "http://127.0.0.1:1"


def test_a_pod_without_a_token_says_what_to_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(AccessError, match="ServiceAccount"):
        in_cluster(tmp_path)
