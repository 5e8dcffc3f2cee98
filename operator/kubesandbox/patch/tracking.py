"""Who owns what after an ordinary create, update or patch: whoever changed a field owns it."""

from __future__ import annotations

from kubesandbox.patch import managers
from kubesandbox.patch.fieldset import InvalidFieldsError, outside
from kubesandbox.patch.managers import Owned, Owners
from kubesandbox.patch.typed import compare
from kubesandbox.patch.types import KindSchema
from kubesandbox.schema.causes import JSON


def track_update(
    old: dict[str, JSON] | None,
    new: dict[str, JSON],
    *,
    manager: str,
    kind_schema: KindSchema,
    api_version: str,
    subresource: str = "",
    now: str,
) -> list[dict[str, JSON]]:
    """The managedFields of `new` after `manager` made it of `old` (None: created it) other than by applying.

    `new` is the object as it was asked for, defaulted, with the managedFields that the request carried, if any. Fields
    that changed are the manager's and nobody else's; what nobody changed stays as it was, times included.
    """
    owners = _owners(old, new, through_subresource=bool(subresource))
    before = _bare(old) if old is not None else {**kind_schema.zero, **{k: new.get(k) for k in ("apiVersion", "kind")}}
    root, hidden = kind_schema.root, kind_schema.reset.get(subresource, ())
    try:
        difference = compare(before, _bare(new), root)
    except InvalidFieldsError:
        return []  # kube-apiserver drops what it can no longer keep right
    changed = outside(difference.added | difference.modified, hidden)
    owners = managers.without(owners, changed | outside(difference.removed, hidden))
    mine = changed - managers.UNOWNED
    if mine:
        me = managers.manager_of(manager, "Update", api_version, subresource)
        had = owners[me].fields if me in owners else frozenset()
        owners[me] = Owned(mine | had, api_version, now)
    return managers.write(managers.capped(owners))


def settle_times(old: dict[str, JSON], new: dict[str, JSON]) -> None:
    """Give `new` the managedFields of `old`, in place, where only their times differ: nothing happened then."""
    before, after = old["metadata"].get("managedFields"), new["metadata"].get("managedFields")
    if before is None or after is None or before == after or _timeless(before) != _timeless(after):
        return
    if _bare(old) == _bare(new):
        new["metadata"]["managedFields"] = before


def _timeless(entries: list[dict[str, JSON]]) -> list[JSON]:
    return sorted(([sorted((k, str(v)) for k, v in e.items() if k != "time")] for e in entries), key=str)


def _bare(obj: dict[str, JSON]) -> dict[str, JSON]:
    metadata = {k: v for k, v in (obj.get("metadata") or {}).items() if k != "managedFields"}
    return {**obj, "metadata": metadata}


def _owners(old: dict[str, JSON] | None, new: dict[str, JSON], *, through_subresource: bool) -> Owners:
    """Those that the request carries, else the live object's. An empty list, or one empty entry, resets them."""
    live = (old or {}).get("metadata", {}).get("managedFields") or []
    given = None if through_subresource else (new.get("metadata") or {}).get("managedFields")
    if given in ([], [{}]):
        return {}
    for entries in (given, live):
        try:
            if owners := managers.read(entries or ()):
                return owners
        except InvalidFieldsError:
            continue
    return {}
