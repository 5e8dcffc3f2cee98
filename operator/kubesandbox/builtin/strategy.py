"""What built-in kinds have in common: a Go type to be decoded into, defaults, and a zero status."""

from __future__ import annotations

from kubesandbox import errors
from kubesandbox.builtin import types
from kubesandbox.builtin.types import DecodeError
from kubesandbox.objects import Json, Object
from kubesandbox.strategy import Request, Strategy
from kubesandbox.tables import DEFAULT, Columns


class BuiltinStrategy(Strategy):
    """A kind whose type is in `types.json`; the catalog says which."""

    type_name = ""
    checks_change = "core"
    status_keeps: tuple[str, ...] = ()
    printed: Columns = DEFAULT

    def columns(self) -> Columns:
        return self.printed

    def decode(self, obj: Object, request: Request) -> list[str]:
        unknown: list[str] = []
        metadata = obj.pop("metadata", None) or {}
        try:
            made = types.decoder(self.type_name)(obj, "", unknown)
        except DecodeError as error:
            kind, version = self.type_name.rsplit(".", 1)[1], self.type_name.rsplit(".", 2)[1]
            raise errors.bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {error}') from None
        head = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": metadata}
        for key in ("kind", "apiVersion", "metadata"):
            made.pop(key, None)
        obj.clear()
        obj.update(head)
        obj.update(made)
        return unknown

    def mistyped(self, config: Json) -> list[tuple[str, str]]:
        from kubesandbox.builtin.mistyped import mistyped

        return mistyped(self.type_name, config)

    def zero_status(self) -> Object | None:
        """The status that a new object has; None for kinds without one."""
        spec = types.specs()[self.type_name]["f"].get("status")
        return types.zero_struct(spec["t"][1:]) if spec and spec["t"].startswith("#") else None

    def prepare_create(self, obj: Object, request: Request) -> None:
        if self.has_status:
            status = self.zero_status()
            if status is not None:
                obj["status"] = status
