"""What may be wrong with a pod's volumes (kubernetes pkg/apis/core/validation/validation.go)."""

from __future__ import annotations

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


def validate_volumes(volumes: list[Object], path: str) -> list[Cause]:
    """What is wrong with a PodSpec's volumes."""
    found: list[Cause] = []
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        name, at = volume.get("name") or "", f"{path}[{index}]"
        if not name:
            found.append(causes.required(f"{at}.name"))
        else:
            found += [causes.invalid(f"{at}.name", name, text) for text in names.label(name)]
            if name in seen:
                found.append(causes.duplicate(f"{at}.name", name))
        sources = sorted(key for key in volume if key != "name")
        text = "may not specify more than 1 volume type"
        found += [causes.forbidden(f"{at}.{key}", text) for key in sources[1:]]
        if sources:
            found += _source(sources[0], volume[sources[0]], f"{at}.{sources[0]}")
        else:
            found.append(causes.required(at, "must specify a volume type"))
        seen.add(name)
    return found


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
    if kind == "hostPath":
        if ".." in (source.get("path") or "").split("/"):
            found.append(causes.invalid(f"{path}.path", source["path"], "must not contain '..'"))
        if source.get("type", "") not in _HOST_PATHS:
            found.append(causes.not_supported(f"{path}.type", source["type"], _HOST_PATHS))
    if kind == "emptyDir" and source.get("sizeLimit") is not None and amount(source["sizeLimit"]) < 0:
        text = "SizeLimit field must be a valid resource quantity"
        found.append(causes.forbidden(f"{path}.sizeLimit", text))
    return found


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
