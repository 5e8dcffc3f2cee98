"""What a schema does not know goes: unknown fields are removed and named."""

from __future__ import annotations

from kubesandbox.schema.causes import JSON
from kubesandbox.schema.node import Node

_TYPE_META = frozenset({"apiVersion", "kind", "metadata"})
_OWNER = frozenset({"apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"})
_MANAGED = frozenset({"manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1", "subresource"})
_METADATA: dict[str, frozenset[str] | None] = {
    **dict.fromkeys(
        [
            "name",
            "generateName",
            "namespace",
            "selfLink",
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "labels",
            "annotations",
            "finalizers",
        ]
    ),
    "ownerReferences": _OWNER,
    "managedFields": _MANAGED,
}


def prune(node: Node, value: JSON) -> list[str]:
    """Remove, in place, what `node` does not know from an object of that kind.

    Gives the paths of what went, sorted, as kube-apiserver's strict decoding names them: `spec.routes[0].bogus`.
    """
    gone: list[str] = []
    _prune(node, value, "", gone, embedded=True)
    return sorted(gone)


def prune_value(node: Node, value: JSON) -> list[str]:
    """As `prune`, for a value that is no object of its own: a default."""
    gone: list[str] = []
    _prune(node, value, "", gone)
    return sorted(gone)


def prune_metadata(metadata: JSON, path: str = "metadata") -> list[str]:
    """Remove, in place, what is no field of ObjectMeta; gives the paths of what went."""
    gone: list[str] = []
    if not isinstance(metadata, dict):
        return gone
    for name in list(metadata):
        if name not in _METADATA:
            del metadata[name]
            gone.append(f"{path}.{name}")
        elif (fields := _METADATA[name]) and isinstance(metadata[name], list):
            for index, item in enumerate(metadata[name]):
                for unknown in [f for f in item if f not in fields] if isinstance(item, dict) else ():
                    del item[unknown]
                    gone.append(f"{path}.{name}[{index}].{unknown}")
    return gone


def _prune(
    node: Node | None, value: JSON, path: str, gone: list[str], *, embedded: bool = False, keep: bool = False
) -> None:
    keep = node is not None and (keep or node.preserve)
    if isinstance(value, dict):
        embedded = embedded or (node is not None and node.embedded)
        for name in list(value):
            where = f"{path}.{name}" if path else name
            if embedded and name in _TYPE_META:
                if name == "metadata":
                    gone += prune_metadata(value[name], where)
            elif node is not None and (name in node.properties or node.additional is not None):
                _prune(node.child(name), value[name], where, gone)
            elif not keep:
                del value[name]
                gone.append(where)
    elif isinstance(value, list) and (node is None or node.items is not None or not keep):
        for index, item in enumerate(value):
            # A list that preserves passes that on to its items; an object does not to its fields.
            _prune(node.items if node else None, item, f"{path}[{index}]", gone, keep=keep)
