"""Volumes' files, and their atomic writing."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from kubesandbox.client import Object
from kubesandbox.node import volumes
from kubesandbox.node.environment import Facts, References
from kubesandbox.node.volumes import File, MountError

FACTS = Facts("n", "127.0.0.2", "127.0.0.1", {})
POD: Object = {"metadata": {"name": "web", "namespace": "ns", "uid": "u"}, "spec": {"containers": []}}
SECRET = {"kind": "Secret", "data": {"k": base64.b64encode(b"v").decode()}}
REFERENCES = References(
    {"cm": {"kind": "ConfigMap", "data": {"a": "1", "b": "2"}, "binaryData": {"c": "AA=="}}, "none": None},
    {"s": SECRET},
)


def files(volume: Object) -> dict[str, File]:
    return volumes.files({"name": "v", **volume}, POD, REFERENCES, FACTS)


def test_a_config_map_shows_all_its_keys_or_the_items_that_are_named() -> None:
    assert {name: f.content for name, f in files({"configMap": {"name": "cm"}}).items()} == {
        "a": b"1",
        "b": b"2",
        "c": b"\0",
    }
    chosen = {"name": "cm", "items": [{"key": "a", "path": "deep/x", "mode": 0o400}]}
    assert files({"configMap": chosen}) == {"deep/x": File(b"1", 0o400)}


def test_a_missing_source_is_an_error_unless_it_is_optional() -> None:
    with pytest.raises(MountError, match='configmap "none" not found'):
        files({"configMap": {"name": "none"}})
    with pytest.raises(MountError, match="references non-existent secret key: z"):
        files({"secret": {"secretName": "s", "items": [{"key": "z", "path": "z"}]}})
    assert files({"configMap": {"name": "none", "optional": True}}) == {}


def test_a_projected_volume_joins_its_sources_and_names_its_tokens() -> None:
    volume = {
        "name": "v",
        "projected": {
            "defaultMode": 0o440,
            "sources": [
                {"secret": {"name": "s"}},
                {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                {"serviceAccountToken": {"path": "jwt", "audience": "vault", "expirationSeconds": 600}},
            ],
        },
    }
    assert files(volume) == {"k": File(b"v", 0o440), "name": File(b"web", 0o440)}
    (token,) = volumes.tokens(volume)
    assert (token.path, token.audience, token.expiration_seconds) == ("jwt", "vault", 600)


def test_an_update_is_one_rename_and_takes_away_what_is_gone(tmp_path: Path) -> None:
    assert volumes.write(tmp_path, {"a": File(b"1", 0o644), "deep/b": File(b"2", 0o600)})
    first = (tmp_path / "..data").readlink()
    assert (tmp_path / "a").readlink() == Path("..data/a")
    assert (tmp_path / "deep/b").read_bytes() == b"2"
    assert (tmp_path / "deep/b").stat().st_mode & 0o777 == 0o600
    assert not volumes.write(tmp_path, {"a": File(b"1", 0o644), "deep/b": File(b"2", 0o600)})
    assert (tmp_path / "..data").readlink() == first
    assert volumes.write(tmp_path, {"a": File(b"3", 0o644)})
    assert (tmp_path / "a").read_bytes() == b"3"
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("..2")) == ["..data", "a"]
    assert not (tmp_path / first).exists()


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x"])
def test_no_file_is_written_outside_its_volume(tmp_path: Path, path: str) -> None:
    with pytest.raises(MountError, match="invalid path"):
        volumes.write(tmp_path / "v", {path: File(b"", 0o644)})
    assert [p.name for p in tmp_path.iterdir()] == ["v"]


def test_kinds_that_cannot_be_had_are_named() -> None:
    assert volumes.unsupported({"name": "v", "hostPath": {"path": "/"}}) == "hostPath"
    assert volumes.unsupported({"name": "v", "emptyDir": {}}) is None
