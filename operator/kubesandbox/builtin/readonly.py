"""Kinds of which there is never one here: they are read, as empty lists, and a write is 501.

`kubectl get all`, `describe namespace` and `apply --prune` ask for them on every cluster.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.kinds import Kind
from kubesandbox.tables import AGE, CREATED_AT, NAME, Column, Columns

READS = ("get", "list", "watch")


def _columns(text: str) -> Columns:
    """Columns from `Name:type:priority`, whose cells nothing will ever fill."""
    found = []
    for entry in text.split(", "):
        name, _, rest = entry.partition(":")
        kind, _, priority = rest.partition(":")
        made = _COMMON.get(name) or Column(name, lambda obj: None, kind or "string", int(priority or 0))
        found.append(made)
    return tuple(found)


_COMMON = {column.name: column for column in (NAME, AGE, CREATED_AT)}


_CONTAINERS = "Containers::1, Images::1"
_COUNTS = "Desired:integer, Current:integer, Ready:integer"


def kinds() -> Iterator[Kind]:
    """They all."""
    yield _kind("v1", "ResourceQuota", "resourcequotas", "quota", "Name, Request, Limit, Age")
    yield _kind("v1", "LimitRange", "limitranges", "limits", "Name, Created At:date")
    shown = f"Name, {_COUNTS}, Age, {_CONTAINERS}, Selector::1"
    yield _kind("v1", "ReplicationController", "replicationcontrollers", "rc", shown, category="all")
    shown = (
        "Name, Capacity, Access Modes, Reclaim Policy, Status, Claim, StorageClass, VolumeAttributesClass, Reason, "
        "Age, VolumeMode::1"
    )
    yield _kind("v1", "PersistentVolume", "persistentvolumes", "pv", shown, namespaced=False)
    yield _kind("apps/v1", "StatefulSet", "statefulsets", "sts", f"Name, Ready, Age, {_CONTAINERS}", category="all")
    shown = f"Name, {_COUNTS}, Up-to-date:integer, Available:integer, Node Selector, Age, {_CONTAINERS}, Selector::1"
    yield _kind("apps/v1", "DaemonSet", "daemonsets", "ds", shown, category="all")
    shown = f"Name, Schedule, Timezone, Suspend:boolean, Active:integer, Last Schedule, Age, {_CONTAINERS}, Selector::1"
    yield _kind("batch/v1", "CronJob", "cronjobs", "cj", shown, category="all")
    shown = "Name, Provisioner, ReclaimPolicy, VolumeBindingMode, AllowVolumeExpansion, Age"
    yield _kind("storage.k8s.io/v1", "StorageClass", "storageclasses", "sc", shown, namespaced=False)


def _kind(
    group_version: str, kind: str, plural: str, short: str, shown: str, *, category: str = "", namespaced: bool = True
) -> Kind:
    group, _, version = group_version.rpartition("/")
    strategy = BuiltinStrategy()
    strategy.printed = _columns(shown)
    categories = (category,) if category else ()
    return Kind(group, version, kind, plural, kind.lower(), namespaced, strategy, (short,), categories, READS)
