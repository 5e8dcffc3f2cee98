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
_META_VERSIONS = frozenset({"v1", "v1beta1"})
META = "meta.k8s.io"


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
        if shape and not (shape in shapes and _names_shape(shape, clause.params)):
            continue
        return Accepted(
            media, shape, clause.params.get("g", ""), clause.params.get("v", ""), clause.params.get("stream") == "watch"
        )
    raise errors.not_acceptable(OFFERED)


def _names_shape(shape: str, params: dict[str, str]) -> bool:
    """Whether `g` and `v` are those of a shape that is served; objects' shapes must name both."""
    if shape in _SHAPE_VERSIONS:
        return params.get("v", "") in _SHAPE_VERSIONS[shape]
    return params.get("g") == META and params.get("v") in _META_VERSIONS


def not_streamed() -> errors.StatusError:
    """406 for a watch in a format that cannot be cut into events."""
    return errors.not_acceptable(_STREAMED)


def check_router(header: str | None, *, collection: bool) -> None:
    """406 where the router of built-in kinds, which knows no parameters, finds no media type that it serves."""
    types = {clause.media for clause in clauses(header or "*/*")}
    if not types & {*OFFERED, "text/yaml", "*/*", ""}:
        raise errors.none_represented([*OFFERED, *(_STREAMED if collection else [])])
