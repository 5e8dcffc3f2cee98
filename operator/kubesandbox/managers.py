"""Who manages which fields: `metadata.managedFields`, kept on every write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesandbox import metadata
from kubesandbox.objects import Object

if TYPE_CHECKING:
    from kubesandbox.kinds import Kind
    from kubesandbox.strategy import Request


class Managers:
    """Keeps managedFields with the functions of the patch room."""

    def track(self, kind: Kind, old: Object | None, obj: Object, request: Request) -> None:
        """Note in `obj` which fields this write set."""
        obj["metadata"].pop("managedFields", None)


__all__ = ["Managers", "metadata"]
