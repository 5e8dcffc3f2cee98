"""Server-side apply to a scale: who manages an object's replicas manages those of its Scale, and the other way round.

apimachinery's ScaleHandler (util/managedfields/scalehandler.go) carries the one over to the other.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from kubesandbox import bodies, decoding
from kubesandbox.builtin import types
from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.kinds import Kind
from kubesandbox.objects import Json, Object
from kubesandbox.patch import managers
from kubesandbox.patch.managers import Manager, Owned, Owners
from kubesandbox.patching import applied

if TYPE_CHECKING:
    from kubesandbox.strategy import Request
    from kubesandbox.wire.messages import HttpRequest

_REPLICAS = ("f:spec", "f:replicas")


@cache
def _kind() -> Kind:
    """Scale as a kind, which it is to whoever applies one."""
    strategy = BuiltinStrategy()
    strategy.type_name = types.type_name("autoscaling", "v1", "Scale")
    return Kind("autoscaling", "v1", "Scale", "scales", "scale", True, strategy)


def apply_scale(
    kind: Kind,
    parent: Object,
    scale: Object,
    request: HttpRequest,
    context: Request,
    *,
    path: tuple[str, ...],
    force: bool,
) -> tuple[Object, list[dict[str, Json]]]:
    """The Scale that results, and the parent's managedFields; `path` is where the parent's replicas are."""
    config = bodies.read_yaml(request.body, "Scale")
    config = config if isinstance(config, dict) else {}
    name = parent["metadata"]["name"]
    decoding.check_applied(_kind(), name, config, context)
    own = tuple(f"f:{part}" for part in path)
    before = managers.read(parent["metadata"].get("managedFields") or ())
    owners = {
        replace(manager, api_version="autoscaling/v1" if manager.operation == "Update" else ""): Owned(
            frozenset({_REPLICAS}), "autoscaling/v1", owned.time
        )
        for manager, owned in before.items()
        if own in owned.fields
    }
    live = {**scale, "metadata": {**scale["metadata"], "managedFields": managers.write(owners)}}
    context.subresource = "scale"
    made = applied(_kind(), live, config, context, force=force)
    after = managers.read(made["metadata"].pop("managedFields", None) or ())
    return made, managers.write(_carried(kind, own, before, after))


def _carried(kind: Kind, own: tuple[str, ...], before: Owners, after: Owners) -> Owners:
    """The parent's owners, those of its replicas as the Scale has them now."""
    holders = {_name(manager): owned for manager, owned in after.items() if _REPLICAS in owned.fields}
    found: Owners = {}
    for manager, owned in before.items():
        if own not in owned.fields or _name(manager) in holders:
            found[manager] = owned
            if own in owned.fields:
                del holders[_name(manager)]
        elif owned.fields - {own}:
            found[manager] = replace(owned, fields=owned.fields - {own})
    for (name, operation, subresource), owned in holders.items():
        version = kind.api_version if operation == "Update" else ""
        manager = Manager(name, operation, version, subresource)
        found[manager] = Owned(frozenset({own}), kind.api_version, owned.time)
    return found


def _name(manager: Manager) -> tuple[str, str, str]:
    return manager.name, manager.operation, manager.subresource
