"""Server-side apply: a manager's configuration laid over an object, with conflicts, co-owners and removals."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kubesandbox.patch import managers
from kubesandbox.patch.fieldset import Fields, InvalidFieldsError, Path, outside, show, with_named_parents
from kubesandbox.patch.managers import Manager, Owned, Owners
from kubesandbox.patch.typed import check, compare, equal, field_set, merge, remove
from kubesandbox.patch.types import KindSchema, Type
from kubesandbox.schema.causes import JSON

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class ApplyInvalidError(ValueError):
    """A configuration that is not of its kind. kube-apiserver answers 500 with this text."""


class ManagedFieldsGivenError(ValueError):
    """A configuration must not carry managedFields: 400."""


@dataclass(frozen=True, slots=True)
class _Request:
    """Who applies to what, and how."""

    me: Manager
    api_version: str
    root: Type
    #: Fields that this request leaves alone.
    hidden: tuple[Path, ...]
    force: bool


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that another manager owns with another value."""

    manager: Manager
    path: Path

    @property
    def field(self) -> str:
        return show(self.path)


class ApplyConflictError(Exception):
    """Fields belong to others: 409. `str()` is the Status's message, `causes` its causes."""

    def __init__(self, conflicts: list[Conflict]) -> None:
        self.conflicts = conflicts
        super().__init__(_message(conflicts))

    @property
    def causes(self) -> list[dict[str, str]]:
        """As StatusCauses."""
        return [
            {"reason": "FieldManagerConflict", "message": f"conflict with {c.manager}", "field": c.field}
            for c in self.conflicts
        ]


def _message(conflicts: list[Conflict]) -> str:
    if len(conflicts) == 1:
        return f"Apply failed with 1 conflict: conflict with {conflicts[0].manager}: {conflicts[0].field}"
    lines: list[str] = []
    for manager in dict.fromkeys(c.manager for c in conflicts):
        lines += [f"conflicts with {manager}:", *(f"- {c.field}" for c in conflicts if c.manager == manager)]
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)


def apply(
    live: dict[str, JSON] | None,
    config: Mapping[str, JSON],
    *,
    manager: str,
    force: bool,
    kind_schema: KindSchema,
    api_version: str,
    subresource: str = "",
    now: str,
    undeclared: Iterable[str] = (),
    mistyped: Iterable[tuple[str, str]] = (),
) -> dict[str, JSON]:
    """The object that results, with its managedFields; not yet defaulted or validated.

    `live` is None where the object is created. `now` is an RFC 3339 time. `ApplyConflictError` where others own what
    the configuration changes and `force` is false; `ApplyInvalidError` where it is not of the kind. `undeclared` are
    the paths of its fields that a built-in kind does not have, `mistyped` those of values that are not of its types.
    """
    given = config.get("metadata")
    if isinstance(given, dict) and given.get("managedFields") is not None:
        raise ManagedFieldsGivenError("metadata.managedFields must be nil")
    root = kind_schema.root
    _check(config, root, api_version, undeclared, mistyped)
    before, owners = _split(live, config)
    me = managers.manager_of(manager, "Apply", api_version, subresource)
    request = _Request(me, api_version, root, kind_schema.reset.get(subresource, ()), force)
    try:
        merged, owners = _apply(before, config, owners, request)
    except ApplyConflictError as conflict:
        # kubectl's own client-side apply left no owner of its name: what it last applied is its to change.
        if manager != "kubectl":
            raise
        left = _not_last_applied(before, conflict.conflicts, root, api_version)
        if left:
            raise ApplyConflictError(left) from None
        merged, owners = _apply(before, config, owners, replace(request, force=True))
    if me in owners:
        changed = live is None or not equal(before, merged)
        time = now if changed or not owners[me].time else owners[me].time
        owners[me] = Owned(owners[me].fields, api_version, time)
    if manager == "kubectl":
        _refresh_last_applied(merged, config)
    merged.setdefault("metadata", {})["managedFields"] = managers.write(owners)
    return merged


def _check(
    config: Mapping[str, JSON],
    root: Type,
    api_version: str,
    undeclared: Iterable[str],
    mistyped: Iterable[tuple[str, str]],
) -> None:
    try:
        check(config, root, undeclared, mistyped)
    except InvalidFieldsError as wrong:
        given = config.get("metadata")
        metadata = given if isinstance(given, dict) else {}
        group, _, version = api_version.rpartition("/")
        kind = f"{group}/{version}, Kind={config.get('kind', '')}"
        name = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
        raise ApplyInvalidError(f"failed to create typed patch object ({name}; {kind}): {wrong}") from None


def _split(live: dict[str, JSON] | None, config: Mapping[str, JSON]) -> tuple[dict[str, JSON], Owners]:
    """The live object without its managedFields, and those."""
    if live is None:
        return {"apiVersion": config.get("apiVersion"), "kind": config.get("kind")}, {}
    before = copy.deepcopy(live)
    return before, managers.read(before.get("metadata", {}).pop("managedFields", None) or ())


def _apply(
    live: dict[str, JSON], config: Mapping[str, JSON], owners: Owners, request: _Request
) -> tuple[dict[str, JSON], Owners]:
    me, root = request.me, request.root
    last = owners.get(me)
    merged: dict[str, JSON] = copy.deepcopy(merge(live, dict(config), root))
    mine = outside(field_set(dict(config), root), request.hidden)
    owners = {**owners, me: Owned(mine, request.api_version, last.time if last else "")}
    if last is not None and last.fields:
        merged = _prune(merged, owners, last.fields, root)
    owners = _settle(live, merged, owners, request)
    if me in owners:
        fields = owners[me].fields - managers.UNOWNED
        owners = {**owners, me: Owned(fields, request.api_version, owners[me].time)}
        if not fields:
            del owners[me]
    return merged, owners


def _prune(merged: dict[str, JSON], owners: Owners, last: Fields, root: Type) -> dict[str, JSON]:
    """Without what the manager applied before and names no more, unless somebody else owns it."""
    lasts = with_named_parents(last, root)
    pruned = remove(merged, lasts, root)
    all_owned: set[Path] = set()
    for owned in owners.values():
        all_owned |= owned.fields
    everything = with_named_parents(field_set(merged, root), root)
    kept = with_named_parents(field_set(pruned, root), root) | with_named_parents(all_owned, root)
    pruned = remove(merged, everything - kept, root)
    # What hung below a removed field and was never this manager's own stays.
    gone = everything - with_named_parents(field_set(pruned, root), root)
    result: dict[str, JSON] = remove(merged, gone & lasts, root)
    return result


def _settle(live: JSON, merged: JSON, owners: Owners, request: _Request) -> Owners:
    """The others' fields after the change; a conflict where it changes what they own."""
    difference = compare(live, merged, request.root)
    changed = outside(difference.added | difference.modified, request.hidden)
    conflicts = [
        Conflict(other, path)
        for other in sorted(owners, key=str)
        if other != request.me
        for path in sorted(owners[other].fields & changed)
    ]
    if conflicts and not request.force:
        raise ApplyConflictError(conflicts)
    return managers.without(owners, changed | outside(difference.removed, request.hidden), but=request.me)


def _not_last_applied(live: dict[str, JSON], conflicts: list[Conflict], root: Type, api_version: str) -> list[Conflict]:
    annotation = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    try:
        applied: Any = json.loads(annotation or "")
    except ValueError:
        return conflicts
    if not isinstance(applied, dict) or applied.get("apiVersion") != api_version:
        return conflicts
    difference = compare(applied, live, root)
    own = field_set(applied, root) - difference.modified - difference.added - difference.removed
    return [c for c in conflicts if c.path not in own]


def _refresh_last_applied(merged: dict[str, JSON], config: Mapping[str, JSON]) -> None:
    annotations = (merged.get("metadata") or {}).get("annotations") or {}
    if not annotations.get(LAST_APPLIED):
        return
    shown: dict[str, JSON] = copy.deepcopy(dict(config))
    (shown.get("metadata", {}).get("annotations") or {}).pop(LAST_APPLIED, None)
    annotations[LAST_APPLIED] = json.dumps(shown, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
