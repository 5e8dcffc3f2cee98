"""Who manages which fields: `metadata.managedFields`, kept on every write."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from kubesandbox import metadata
from kubesandbox.objects import Object
from kubesandbox.patch.builtin_types import of as builtin_kind
from kubesandbox.patch.tracking import track_update
from kubesandbox.patch.types import KindSchema

if TYPE_CHECKING:
    from kubesandbox.kinds import Kind
    from kubesandbox.strategy import Request

_schemas: WeakKeyDictionary[Kind, KindSchema] = WeakKeyDictionary()


def schema_of(kind: Kind) -> KindSchema:
    """How a kind is merged; made once for as long as the kind is served."""
    found = _schemas.get(kind)
    if found is None:
        found = _schemas[kind] = kind.strategy.patch_schema() or builtin_kind(kind.group, kind.kind)
    return found


def track(kind: Kind, old: Object | None, obj: Object, request: Request) -> None:
    """Note in `obj` which fields this write set."""
    entries = track_update(
        old,
        obj,
        manager=request.manager or "unknown",
        kind_schema=schema_of(kind),
        api_version=kind.api_version,
        subresource=request.subresource,
        now=metadata.now(),
    )
    if entries:
        obj["metadata"]["managedFields"] = entries
    else:
        obj["metadata"].pop("managedFields", None)
