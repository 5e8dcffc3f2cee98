"""What may be wrong with a pod's volumes (kubernetes pkg/apis/core/validation/validation.go)."""

from __future__ import annotations

from collections.abc import Iterator

from kubesandbox import names
from kubesandbox.builtin.amounts import amount
from kubesandbox.objects import Object
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause

_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_HOST_PATHS = [
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
]
# What a source cannot do without.
_NEEDED = {
    "secret": "secretName",
    "configMap": "name",
    "hostPath": "path",
    "persistentVolumeClaim": "claimName",
    "csi": "driver",
    "nfs": "server",
}


def validate_volumes(volumes: list[Object], path: str, good: set[str]) -> list[Cause]:
    """What is wrong with a PodSpec's volumes; adds to `good` the names of those that can be mounted."""
    return [cause for wrong in _volumes(volumes, path, good) for cause in wrong]


def _volumes(volumes: list[Object], path: str, good: set[str]) -> Iterator[list[Cause]]:
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        name, at = volume.get("name") or "", f"{path}[{index}]"
        sources = sorted(key for key in volume if key != "name")
        text = "may not specify more than 1 volume type"
        found = [causes.forbidden(f"{at}.{key}", text) for key in sources[1:]]
        if sources:
            found += _source(sources[0], volume[sources[0]], f"{at}.{sources[0]}")
        else:
            found.append(causes.required(at, "must specify a volume type"))
        if not name:
            named = [causes.required(f"{at}.name")]
        else:
            named = [causes.invalid(f"{at}.name", name, text) for text in names.label(name)]
            if name in seen:
                named.append(causes.duplicate(f"{at}.name", name))
        seen.add(name)
        if not named and not found:
            good.add(name)
        yield named + found


def _source(kind: str, source: Object, path: str) -> list[Cause]:
    found: list[Cause] = []
    needed = _NEEDED.get(kind)
    if needed and not source.get(needed):
        found.append(causes.required(f"{path}.{needed}"))
    if kind in {"secret", "configMap", "downwardAPI", "projected"}:
        found += _mode(source.get("defaultMode"), f"{path}.defaultMode")
    if kind in {"secret", "configMap"}:
        for index, item in enumerate(source.get("items") or ()):
            found += _item(item, f"{path}.items[{index}]")
    if kind == "nfs" and not (source.get("path") or "").startswith("/"):
        found += [] if source.get("path") else [causes.required(f"{path}.path")]
        found.append(causes.invalid(f"{path}.path", source.get("path") or "", "must be an absolute path"))
    if kind == "projected":
        found += _projected(source, path)
    if kind == "hostPath":
        if ".." in (source.get("path") or "").split("/"):
            found.append(causes.invalid(f"{path}.path", source["path"], "must not contain '..'"))
        if source.get("type", "") not in _HOST_PATHS:
            found.append(causes.not_supported(f"{path}.type", source["type"], _HOST_PATHS))
    if kind == "emptyDir" and source.get("sizeLimit") is not None and amount(source["sizeLimit"]) < 0:
        text = "SizeLimit field must be a valid resource quantity"
        found.append(causes.forbidden(f"{path}.sizeLimit", text))
    return found


def _projected(source: Object, path: str) -> list[Cause]:
    """What is wrong with a projected volume's sources (validateProjectionSources)."""
    found: list[Cause] = []
    taken: set[str] = set()
    for index, part in enumerate(source.get("sources") or ()):
        at = f"{path}.sources[{index}]"
        for kind in ("secret", "configMap"):
            keys = part.get(kind)
            if keys is None:
                continue
            if not keys.get("name"):
                found.append(causes.required(f"{at}.{kind}.name"))
            for number, item in enumerate(keys.get("items") or ()):
                found += _item(item, f"{at}.{kind}.items[{number}]")
                if item.get("path") in taken:
                    found.append(causes.invalid(path, keys.get("name", ""), "conflicting duplicate paths"))
                taken.add(item.get("path") or "")
            taken.discard("")
        found += _token(part.get("serviceAccountToken"), f"{at}.serviceAccountToken")
        if len(part) > 1:
            found.append(causes.forbidden(at, "may not specify more than 1 volume type per source"))
    return found


def _token(token: Object | None, path: str) -> list[Cause]:
    if token is None:
        return []
    seconds, found = token.get("expirationSeconds") or 0, list[Cause]()
    if seconds < 600:
        text = "may not specify a duration less than 10 minutes"
        found.append(causes.invalid(f"{path}.expirationSeconds", seconds, text))
    if seconds > 1 << 32:
        text = "may not specify a duration larger than 2^32 seconds"
        found.append(causes.invalid(f"{path}.expirationSeconds", seconds, text))
    return found if token.get("path") else [*found, causes.required(f"{path}.path")]


def _mode(mode: int | None, path: str) -> list[Cause]:
    return [] if mode is None or 0 <= mode <= 0o777 else [causes.invalid(path, mode, _MODE)]


def _item(item: Object, path: str) -> list[Cause]:
    found = [] if item.get("key") else [causes.required(f"{path}.key")]
    target = item.get("path") or ""
    if not target:
        found.append(causes.required(f"{path}.path"))
    if target.startswith("/"):
        found.append(causes.invalid(f"{path}.path", target, "must be a relative path"))
    if ".." in target.split("/"):
        found.append(causes.invalid(f"{path}.path", target, "must not contain '..'"))
    if target.startswith("..") and not target.startswith("../"):
        found.append(causes.invalid(f"{path}.path", target, "must not start with '..'"))
    return found + _mode(item.get("mode"), f"{path}.mode")
