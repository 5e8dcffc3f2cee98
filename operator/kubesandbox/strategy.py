"""What a kind decides for itself between decoding and storing; the base is a kind without particulars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubesandbox import names
from kubesandbox.objects import Json, Object, same
from kubesandbox.schema.causes import Cause
from kubesandbox.tables import DEFAULT, Columns

if TYPE_CHECKING:
    from kubesandbox.auth import User
    from kubesandbox.cluster import Cluster
    from kubesandbox.patch.types import KindSchema


@dataclass
class Request:
    """Who asks and how: what a strategy may need to know besides the object."""

    cluster: Cluster
    user: User
    namespace: str = ""
    dry_run: bool = False
    manager: str = ""
    field_validation: str = "Warn"
    subresource: str = ""
    patching: bool = False
    text: bytes = b""  # the body as it came
    warnings: list[str] = field(default_factory=list)


class Strategy:
    """Hooks of create, update and delete. Objects passed to be prepared belong to the callee; `old` does not."""

    custom = False  # of a CustomResourceDefinition
    counts_generations = False
    has_status = False
    # How a kind's own validation looks at metadata, beside what is looked at for all kinds: a change to it, and the
    # whole of it again. `core` wants qualified finalizers, `plain` does not, and nothing is not looking at all.
    checks_change = "plain"
    checks_whole = ""
    creates_on_update = False
    unconditional_update = True
    returns_deleted = False
    propagation = "Background"
    name_rule: names.NameRule = staticmethod(names.subdomain)
    status_keeps: tuple[str, ...] = ("labels", "annotations", "finalizers", "ownerReferences")  # not set by /status
    warnings: tuple[str, ...] = ()  # told to everybody who asks for the kind
    resets: tuple[str, ...] = ("status",)  # dropped from a create, and kept from before on an update

    def decode(self, obj: Object, request: Request) -> list[str]:
        """Drop what the kind's type does not have; gives the dropped paths. Raises StatusError for wrong types."""
        return []

    def mistyped(self, config: Json) -> list[tuple[str, str]]:
        """Where an apply configuration is not of the kind's types, and what is expected there; see `builtin`."""
        return []

    def nulls(self, obj: Object) -> list[Cause]:
        """What is wrong with the nulls of an object that was applied, where others would lose them."""
        return []

    def default(self, obj: Object) -> None:
        """Fill in defaults in place."""

    def prepare_create(self, obj: Object, request: Request) -> None:
        """Settle what the server owns in a new object, after defaults."""

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        """What is wrong with a new object, metadata aside."""
        return []

    def prepare_update(self, obj: Object, old: Object, request: Request) -> None:
        """Settle what the server owns in a changed object."""

    def validate_update(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        """What is wrong with a change, metadata aside."""
        return self.validate(obj, request)

    def validate_status(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        """What is wrong with a change through /status."""
        return []

    def validate_with(self, found: list[Cause], obj: Object, request: Request) -> list[Cause]:
        """What is wrong with a new object, begun with what is wrong with its metadata."""
        return found + self.validate(obj, request)

    def validate_update_with(self, found: list[Cause], obj: Object, old: Object, request: Request) -> list[Cause]:
        """What is wrong with a change, begun with what is wrong with its metadata."""
        return found + self.validate_update(obj, old, request)

    def validate_status_with(self, found: list[Cause], obj: Object, old: Object, request: Request) -> list[Cause]:
        """What is wrong with a change through /status, begun with what is wrong with its metadata."""
        return found + self.validate_status(obj, old, request)

    def allocate(self, obj: Object, old: Object | None, request: Request) -> None:
        """Give a valid object what the cluster hands out, before it is stored; `old` is None for a new one."""

    def created(self, obj: Object, request: Request) -> None:
        """After a create was stored."""

    def updated(self, obj: Object, old: Object, request: Request) -> None:
        """After an update was stored."""

    def deleted(self, obj: Object, request: Request) -> None:
        """After an object is gone."""

    def check_delete(self, obj: Object, request: Request) -> None:
        """Refuse a deletion by raising StatusError."""

    def begin_delete(self, obj: Object, grace: int | None, request: Request) -> bool:
        """Mark `obj` (a copy) as going where its kind does not go at once; True if it then must stay for now."""
        return False

    def fields(self, obj: Object) -> Mapping[str, str]:
        """The fields this kind can be selected by, besides name and namespace."""
        return {}

    selectable: frozenset[str] = frozenset()

    def patch_schema(self) -> KindSchema | None:
        """How the kind's fields are merged; None where the table of built-in kinds says."""
        return None

    def columns(self) -> Columns:
        """The columns of `kubectl get`."""
        return DEFAULT

    def spec_changed(self, obj: Object, old: Object) -> bool:
        """Whether `generation` moves: anything but metadata and status differs."""
        ignored = {"metadata", "status", "apiVersion"} if self.has_status else {"metadata", "apiVersion"}
        keys = (obj.keys() | old.keys()) - ignored
        return not all(same(obj.get(key), old.get(key)) for key in keys)
