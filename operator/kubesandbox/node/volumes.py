"""Volumes as directories: what files a volume holds, and writing them so that a reader never sees half an update."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kubesandbox.client import Object
from kubesandbox.node.environment import (
    ContainerConfigError,
    Facts,
    References,
    field_value,
    keys_of,
    resource_value,
    text_of,
)

UPDATED = ("configMap", "secret", "projected", "downwardAPI")
SUPPORTED = (*UPDATED, "emptyDir")
ROTATING_TOKEN_SECONDS = 3600


class MountError(Exception):
    """The volume cannot be set up now; the text is the kubelet's."""


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    mode: int


@dataclass(frozen=True, slots=True)
class TokenWanted:
    """A serviceAccountToken source: where it goes and what to ask the TokenRequest API for."""

    path: str
    audience: str
    expiration_seconds: int
    mode: int


def unsupported(volume: Object) -> str | None:
    """The kind of a volume that cannot be had here, or None."""
    kinds = [kind for kind in volume if kind != "name"]
    return None if kinds and kinds[0] in SUPPORTED else (kinds[0] if kinds else "nothing")


def referenced(pod_spec: Object) -> tuple[set[str], set[str]]:
    """Names of the ConfigMaps and Secrets that volumes show."""
    config_maps: set[str] = set()
    secrets: set[str] = set()
    for source in _sources(pod_spec):
        if "configMap" in source:
            config_maps.add(source["configMap"]["name"])
        if "secret" in source:
            secrets.add(source["secret"].get("secretName") or source["secret"]["name"])
    return config_maps, secrets


def tokens(volume: Object) -> Iterator[TokenWanted]:
    """The ServiceAccount tokens that a projected volume asks for."""
    projected = volume.get("projected") or {}
    for source in projected.get("sources") or ():
        if "serviceAccountToken" in source:
            wanted = source["serviceAccountToken"]
            yield TokenWanted(
                path=wanted["path"],
                audience=wanted.get("audience", ""),
                expiration_seconds=wanted.get("expirationSeconds", ROTATING_TOKEN_SECONDS),
                mode=projected.get("defaultMode", 0o644),
            )


def files(volume: Object, pod: Object, references: References, facts: Facts) -> dict[str, File]:
    """The files of a configMap, secret, downwardAPI or projected volume, without its tokens, by relative path.

    Raises MountError for a reference that is missing and not optional.
    """
    try:
        if "projected" in volume:
            projected = volume["projected"]
            mode = projected.get("defaultMode", 0o644)
            result: dict[str, File] = {}
            for source in projected.get("sources") or ():
                if "serviceAccountToken" not in source:
                    result |= _files_of(source, mode, pod, references, facts)
            return result
        mode = next(iter(volume[kind].get("defaultMode", 0o644) for kind in UPDATED if kind in volume))
        return _files_of(volume, mode, pod, references, facts)
    except ContainerConfigError as error:
        raise MountError(str(error)) from error


def write(folder: Path, payload: Mapping[str, File]) -> bool:
    """Make `folder` show exactly `payload`, at once: a new timestamped directory, then one rename of `..data`.

    False when it already did. The layout is the kubelet's, so that programs that watch for it find it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "..data"
    if data.is_symlink() and _read(data) == dict(payload):
        return False
    old = data.readlink() if data.is_symlink() else None
    fresh = Path(tempfile.mkdtemp(prefix="..2", dir=folder))
    fresh.chmod(0o755)
    for name, file in payload.items():
        target = fresh / relative(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(file.mode)
    pointer = folder / "..data_tmp"
    pointer.unlink(missing_ok=True)
    pointer.symlink_to(fresh.name)
    pointer.replace(data)
    wanted = {relative(name).parts[0] for name in payload}
    for name in wanted:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(Path("..data") / name)
    for entry in folder.iterdir():
        if not entry.name.startswith("..") and entry.name not in wanted:
            entry.unlink()
    if old is not None:
        shutil.rmtree(folder / old, ignore_errors=True)
    return True


def _read(data: Path) -> dict[str, File]:
    found = {}
    for parent, _, names in os.walk(data):
        for name in names:
            path = Path(parent) / name
            mode = stat.S_IMODE(path.stat().st_mode)
            found[str(path.relative_to(data))] = File(path.read_bytes(), mode)
    return found


def relative(name: str) -> PurePosixPath:
    """`name` as a path that stays in its volume. Raises MountError otherwise."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise MountError(f"invalid path {name!r}: must be relative and must not contain '..'")
    return path


def _sources(pod_spec: Object) -> Iterator[Object]:
    for volume in pod_spec.get("volumes") or ():
        if "projected" in volume:
            yield from volume["projected"].get("sources") or ()
        else:
            yield volume


def _files_of(source: Object, mode: int, pod: Object, references: References, facts: Facts) -> dict[str, File]:
    if "configMap" in source:
        wanted = source["configMap"]
        return _keys(wanted, wanted["name"], "configmap", references.config_maps, mode)
    if "secret" in source:
        wanted = source["secret"]
        name = wanted.get("secretName") or wanted["name"]
        return _keys(wanted, name, "secret", references.secrets, mode)
    if "downwardAPI" in source:
        return {
            item["path"]: File(_downward(item, pod, facts).encode(), item.get("mode", mode))
            for item in source["downwardAPI"].get("items") or ()
        }
    raise MountError(f"unsupported volume source: {', '.join(source)}")


def _keys(wanted: Object, name: str, kind: str, known: Mapping[str, Object | None], mode: int) -> dict[str, File]:
    data = known.get(name)
    if data is None:
        if wanted.get("optional"):
            return {}
        raise MountError(f'{kind} "{name}" not found')
    items = wanted.get("items") or [{"key": key, "path": key} for key in keys_of(data)]
    result = {}
    for item in items:
        content = text_of(data, item["key"])
        if content is not None:
            result[item["path"]] = File(content, item.get("mode", mode))
        elif not wanted.get("optional"):
            noun = "secret key" if kind == "secret" else "config key"
            raise MountError(f"references non-existent {noun}: {item['key']}")
    return result


def _downward(item: Object, pod: Object, facts: Facts) -> str:
    if "fieldRef" in item:
        return field_value(item["fieldRef"]["fieldPath"], pod, facts)
    reference = item["resourceFieldRef"]
    for container in (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())):
        if container["name"] == reference.get("containerName"):
            return resource_value(reference, container, facts)
    raise MountError(f"container {reference.get('containerName')} not found")
