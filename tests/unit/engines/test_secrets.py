"""Secrets as kubelet mounts them: links into a directory that is replaced as a whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from switchboard.engines import EngineMisconfigured
from switchboard.engines.secrets import HeaderFiles, SecretFile


def mount(volume: Path, generation: str, files: dict[str, str]) -> None:
    """Writes a projected volume's files as kubelet does (pkg/volume/util/atomic_writer.go)."""
    folder = volume / f"..{generation}"
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    link = volume / "..data_tmp"
    link.symlink_to(folder.name)
    os.replace(link, volume / "..data")
    for top in {path.split("/")[0] for path in files}:
        if not (volume / top).is_symlink():
            (volume / top).symlink_to(f"..data/{top}")


def test_a_replaced_volume_shows_the_new_values_and_another_stamp(tmp_path: Path) -> None:
    mount(tmp_path, "1", {"engine/api-key": "one\n", "engine/headers/Authorization": "Bearer one"})
    key = SecretFile(tmp_path / "engine" / "api-key", "apiKey")
    headers = HeaderFiles(tmp_path / "engine" / "headers", "headersSecretRef")
    before = key.stamp(), headers.stamp()
    assert (key.read(), headers.read()) == ("one", {"Authorization": "Bearer one"})
    assert (key.stamp(), headers.stamp()) == before
    mount(
        tmp_path,
        "2",
        {"engine/api-key": "two", "engine/headers/Authorization": "Bearer two", "engine/headers/X-A": "b"},
    )
    assert (key.read(), headers.read()) == ("two", {"Authorization": "Bearer two", "X-A": "b"})
    assert key.stamp() != before[0]
    assert headers.stamp() != before[1]


def test_a_directory_of_headers_may_itself_be_the_volume(tmp_path: Path) -> None:
    mount(tmp_path, "1", {"Authorization": "Bearer one"})
    assert HeaderFiles(tmp_path, "x").read() == {"Authorization": "Bearer one"}


def test_an_error_names_the_field_and_never_the_value(tmp_path: Path) -> None:
    (tmp_path / "X-Token").write_text("hush\nhush")
    with pytest.raises(EngineMisconfigured, match=r"^headersSecretRef: ") as raised:
        HeaderFiles(tmp_path, "headersSecretRef").read()
    assert "hush" not in str(raised.value)
