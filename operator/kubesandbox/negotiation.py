"""Which shape and format an answer takes, from the Accept header."""

from __future__ import annotations

from dataclasses import dataclass

from kubesandbox import errors

JSON = "application/json"
YAML = "application/yaml"
SERVED = [JSON, YAML]
PROTOBUF = "application/vnd.kubernetes.protobuf"  # read, never answered in; named where kube-apiserver names it
OFFERED = [*SERVED, PROTOBUF]
_STREAMED = [f"{JSON};stream=watch", f"{PROTOBUF};stream=watch"]


_SHAPE_VERSIONS = {"APIGroupDiscoveryList": frozenset({"", "v2"})}
_META_VERSIONS = frozenset({"", "v1", "v1beta1"})


@dataclass(frozen=True)
class Accepted:
    """The media type chosen, and what the object is to be shown as (`Table`, `PartialObjectMetadata`, …)."""

    media: str = JSON
    shape: str = ""
    group: str = ""
    version: str = ""
    stream: bool = False


@dataclass(frozen=True)
class _Clause:
    media: str
    params: dict[str, str]
    weight: float


def clauses(header: str) -> list[_Clause]:
    """An Accept header's alternatives, the preferred one first."""
    found = []
    for part in header.split(","):
        media, *rest = [piece.strip() for piece in part.split(";")]
        params = dict(piece.split("=", 1) for piece in rest if "=" in piece)
        try:
            weight = float(params.pop("q", "1"))
        except ValueError:
            weight = 0.0
        found.append(_Clause(media.lower(), params, weight))
    return sorted(found, key=lambda clause: -clause.weight)


def accepted(header: str | None, shapes: frozenset[str] = frozenset()) -> Accepted:
    """The first alternative that can be served; 406 where there is none."""
    if not header:
        return Accepted()
    for clause in clauses(header):
        media = {"*/*": JSON, "application/*": JSON, "text/yaml": YAML}.get(clause.media, clause.media)
        if media not in SERVED:
            continue
        shape = clause.params.get("as", "")
        if shape and (
            shape not in shapes or clause.params.get("v", "") not in _SHAPE_VERSIONS.get(shape, _META_VERSIONS)
        ):
            continue
        return Accepted(
            media, shape, clause.params.get("g", ""), clause.params.get("v", ""), clause.params.get("stream") == "watch"
        )
    raise errors.not_acceptable(OFFERED)


def check_router(header: str | None, *, collection: bool) -> None:
    """406 where the router of built-in kinds, which knows no parameters, finds no media type that it serves."""
    types = {clause.media for clause in clauses(header or "*/*")}
    if not types & {*OFFERED, "text/yaml", "*/*", ""}:
        raise errors.none_represented([*OFFERED, *(_STREAMED if collection else [])])
