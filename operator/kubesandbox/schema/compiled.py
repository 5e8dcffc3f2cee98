"""A CRD version's schema, compiled: what fills in, prunes and validates its objects."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from kubesandbox.schema import causes, defaults, openapi, pruning, rules, uniqueness
from kubesandbox.schema.causes import JSON, Cause
from kubesandbox.schema.correlation import Correlation
from kubesandbox.schema.embedded import embedded
from kubesandbox.schema.node import Node, read
from kubesandbox.schema.scale import scale_causes


class Schema:
    """What a version of a CRD says of its objects."""

    __slots__ = ("root",)

    def __init__(self, root: Node) -> None:
        self.root = root

    def default(self, obj: JSON) -> None:
        """Fill in defaults, in place, and drop nulls that are no values and have none."""
        defaults.fill(self.root, obj)
        defaults.drop_nulls(self.root, obj)

    def nulls(self, obj: dict[str, JSON]) -> list[Cause]:
        """A cause for each null that is no value and has no default: only server-side apply keeps them so long."""
        if not _has_null(obj):
            return []
        made = copy.deepcopy(obj)
        defaults.fill(self.root, made)
        found = [it for it in openapi.validate(self.root, made) if it.message.startswith('Invalid value: "null"')]
        return [*found, causes.unchecked()] if found and self.root.rules_below else found

    def prune(self, obj: JSON) -> list[str]:
        """Remove unknown fields, in place; gives strict decoding's words, sorted: `unknown field "spec.bogus"`."""
        return [f"unknown field {causes.quote(path)}" for path in pruning.prune(self.root, obj)]

    def validate(
        self,
        obj: JSON,
        old: JSON = None,
        *,
        subresource: str = "",
        scale: Mapping[str, JSON] | None = None,
        also: Iterable[Cause] = (),
    ) -> list[Cause]:
        """Every cause for which kube-apiserver refuses `obj`; with `old`, as an update of that.

        An update is not refused for what was wrong before in a part that it leaves alone. `subresource` `status`
        looks at the status only, as kube-apiserver does (CEL rules run on the whole object all the same). `scale` is
        the version's scale subresource. `also` are causes found elsewhere, in metadata: CEL rules are not run after
        some of them.
        """
        found = list(also)
        correlation = None if old is None else Correlation(obj, old, self.root)
        if subresource == "status":
            found += self._status(obj, correlation)
            found += scale_causes(scale, obj, status_only=True)
        else:
            found += openapi.validate(self.root, obj, correlation)
            found += scale_causes(scale, obj)
            found += embedded(self.root, obj)
        repeated = uniqueness.duplicates(self.root, obj)
        if repeated and (old is None or not uniqueness.duplicates(self.root, old)):
            found += repeated
        if self.root.rules_below:
            if any(cause.blocking for cause in found):
                found.append(causes.unchecked())
            else:
                found += rules.broken(self.root, obj, old, correlation)
        return found

    def _status(self, obj: JSON, correlation: Correlation | None) -> list[Cause]:
        node = self.root.properties.get("status")
        if node is None or "status" not in obj:
            return []
        old = correlation.key("status") if correlation else None
        return openapi.validate(node, obj["status"], old, base="status")


def compile_schema(openapi_v3_schema: Mapping[str, Any]) -> Schema:
    """Compile a CRD version's `openAPIV3Schema`, which `check_structural` found no cause to refuse."""
    return Schema(read(openapi_v3_schema))


def _has_null(value: JSON) -> bool:
    if isinstance(value, dict):
        return any(map(_has_null, value.values()))
    return any(map(_has_null, value)) if isinstance(value, list) else value is None
