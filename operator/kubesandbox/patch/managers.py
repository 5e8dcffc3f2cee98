"""`metadata.managedFields`: who owns which fields of an object, read, changed and written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kubesandbox.patch.fieldset import Fields, InvalidFieldsError, decode, encode
from kubesandbox.schema.causes import JSON, quote

#: kube-apiserver keeps this many entries of updates, and folds older ones into one named `ancient-changes`.
MOST_UPDATERS = 10

#: What no manager owns: it is the server's, or the object's name (apimachinery's stripMeta).
UNOWNED: frozenset[tuple[str, ...]] = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
    | {
        ("f:metadata", f"f:{name}")
        for name in (
            "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation",
            "managedFields", "resourceVersion",
        )
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Manager:
    """Who owns fields, by what: an applier is one whatever version it used, an updater is one for each."""

    name: str
    operation: str
    api_version: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        """As a conflict names it."""
        text = quote(self.name)
        if self.subresource:
            text += f" with subresource {quote(self.subresource)}"
        return f"{text} using {self.api_version}" if self.operation == "Update" else text


@dataclass(frozen=True, slots=True)
class Owned:
    """What a manager owns, since when, in which version."""

    fields: Fields
    api_version: str
    time: str = ""


Owners = dict[Manager, Owned]


def manager_of(name: str, operation: str, api_version: str, subresource: str) -> Manager:
    """The manager of a request."""
    return Manager(name or "unknown", operation, "" if operation == "Apply" else api_version, subresource)


def read(entries: Iterable[Mapping[str, Any]]) -> Owners:
    """The owners that `metadata.managedFields` names. `InvalidFieldsError` for what kube-apiserver would not read."""
    owners: Owners = {}
    for position, entry in enumerate(entries):
        operation, version = entry.get("operation", ""), entry.get("apiVersion", "")
        if operation not in {"Apply", "Update"}:
            raise InvalidFieldsError("operation must be `Apply` or `Update`")
        if not version:
            raise InvalidFieldsError("apiVersion must not be empty")
        if (kind := entry.get("fieldsType")) != "FieldsV1":
            what = f"invalid fieldsType {quote(kind)}" if kind else "missing fieldsType"
            raise InvalidFieldsError(f"{what} in managed fields entry {position}")
        manager = Manager(
            entry.get("manager", ""), operation, "" if operation == "Apply" else version, entry.get("subresource", "")
        )
        owners[manager] = Owned(decode(entry.get("fieldsV1") or {}), version, entry.get("time") or "")
    return owners


def write(owners: Owners) -> list[dict[str, JSON]]:
    """`metadata.managedFields`, sorted as kube-apiserver has it: appliers first, then by time and name."""
    return [_entry(manager, owned) for manager, owned in sorted(owners.items(), key=_order)]


def _order(item: tuple[Manager, Owned]) -> tuple[str, str, str, str, str]:
    manager, owned = item
    return manager.operation, owned.time, manager.name, owned.api_version, manager.subresource


def _entry(manager: Manager, owned: Owned) -> dict[str, JSON]:
    entry: dict[str, JSON] = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": owned.api_version,
        "time": owned.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": encode(owned.fields),
        "subresource": manager.subresource,
    }
    return {key: value for key, value in entry.items() if value != "" or key == "manager"}


def without(owners: Owners, fields: Fields, *, but: Manager | None = None) -> Owners:
    """The owners with these fields taken from each of them, and none left that owns nothing."""
    kept: Owners = {}
    for manager, owned in owners.items():
        left = owned.fields if manager == but else owned.fields - fields
        if left:
            kept[manager] = replace(owned, fields=left)
    return kept


def capped(owners: Owners) -> Owners:
    """The owners with the oldest updaters folded together, where there are more than `MOST_UPDATERS`."""
    updaters = sorted((m for m in owners if m.operation == "Update"), key=lambda m: (owners[m].time, m.name, str(m)))
    surplus, kept = len(updaters) - MOST_UPDATERS, dict(owners)
    first: dict[str, Manager] = {}
    for manager in updaters:
        if surplus <= 0:
            break
        version = owners[manager].api_version
        bucket = Manager("ancient-changes", "Update", version)
        if version not in first:
            first[version] = manager
            continue
        if bucket not in kept:
            kept[bucket] = kept.pop(first[version])
        owned = kept.pop(manager)
        kept[bucket] = Owned(owned.fields | kept[bucket].fields, version, owned.time)
        surplus -= 1
    return kept
