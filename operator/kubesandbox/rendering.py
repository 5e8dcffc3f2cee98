"""Objects to answers: JSON or YAML, single or list, whole or as a Table or metadata only."""

from __future__ import annotations

import orjson

from kubesandbox import tables
from kubesandbox.crud import view
from kubesandbox.errors import StatusError
from kubesandbox.kinds import Kind
from kubesandbox.listing import Page
from kubesandbox.negotiation import YAML, Accepted, accepted
from kubesandbox.objects import Json, Object
from kubesandbox.store import Version
from kubesandbox.wire.messages import Answer, HttpRequest

OBJECT_SHAPES = frozenset({"Table", "PartialObjectMetadata", "PartialObjectMetadataList"})


def negotiate(request: HttpRequest) -> Accepted:
    """The shape and format asked for, among those of objects."""
    return accepted(request.headers.get("accept"), OBJECT_SHAPES)


def encode(kind: Kind, version: Version) -> bytes:
    """One object in the version that `kind` serves."""
    if kind.convert is None:
        return version.encoded()
    return version.encoded(kind.api_version, kind.convert)


def item(kind: Kind, version: Version) -> bytes:
    """One object as a list has it: of built-in kinds without apiVersion and kind."""
    data = encode(kind, version)
    if kind.strategy.custom:
        return data
    prefix = b'{"kind":"%b","apiVersion":"%b",' % (kind.kind.encode(), kind.api_version.encode())
    return b"{" + data.removeprefix(prefix) if data.startswith(prefix) else data


def answer(body: bytes, how: Accepted, status: int = 200, headers: list[tuple[str, str]] | None = None) -> Answer:
    """An encoded body in the media type asked for."""
    if how.media == YAML:
        return Answer(status, to_yaml(orjson.loads(body)), YAML, headers or [])
    return Answer(status, body, headers=headers or [])


def to_yaml(body: Json) -> bytes:
    """JSON as YAML."""
    import yaml

    text = yaml.dump(body, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), default_flow_style=False)
    return text.encode()


def _check_shape(kind: Kind, how: Accepted, wrong: str, why: str, suffix: str = "") -> None:
    """406 for a list's shape of an object, and the other way round (handlers/response.go)."""
    if how.shape == wrong:
        if kind.strategy.custom and not suffix:  # an Unstructured lets itself be asked for items, and then has none
            raise StatusError(500, "", "content is not a list")
        package = kind.group.split(".")[0] or "core"
        found = f"unstructured.Unstructured{suffix}" if kind.strategy.custom else f"{package}.{kind.kind}{suffix}"
        text = f"you requested {wrong}, but the requested object {why} (*{found})"
        raise StatusError(406, "NotAcceptable", text)


def one(
    kind: Kind,
    version: Version,
    how: Accepted,
    request: HttpRequest,
    *,
    status: int = 200,
) -> Answer:
    """One object as asked for."""
    _check_shape(kind, how, "PartialObjectMetadataList", "is not a list")
    if how.shape == "Table":
        obj = view(kind, version)
        meta = {key: value for key, value in obj["metadata"].items() if key == "resourceVersion" and value}
        include = request.param("includeObject") or ""
        body = tables.table([obj], kind.strategy.columns(), include, meta, version=how.version)
        return answer(orjson.dumps(body), how, status)
    if how.shape:
        return answer(orjson.dumps(tables.partial(view(kind, version), how.version)), how, status)
    return answer(encode(kind, version), how, status)


def many(kind: Kind, page: Page, how: Accepted, request: HttpRequest) -> Answer:
    """A list as asked for."""
    _check_shape(kind, how, "PartialObjectMetadata", "is a list", "List")
    meta: Object = {"resourceVersion": str(page.revision)}
    if page.token or kind.strategy.custom:
        meta["continue"] = page.token
    if page.remaining is not None:
        meta["remainingItemCount"] = page.remaining
    if how.shape == "Table":
        objects = [view(kind, version) for version in page.versions]
        meta = {key: value for key, value in meta.items() if value}
        include = request.param("includeObject") or ""
        body = tables.table(objects, kind.strategy.columns(), include, meta, version=how.version)
        return answer(orjson.dumps(body), how)
    if how.shape:
        meta = {key: value for key, value in meta.items() if value}
        items = [tables.partial(view(kind, version), how.version) for version in page.versions]
        head = {"kind": "PartialObjectMetadataList", "apiVersion": f"meta.k8s.io/{how.version}", "metadata": meta}
        return answer(orjson.dumps({**head, "items": items}), how)
    body_bytes = b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[%b]}' % (
        kind.list_kind.encode(),
        kind.api_version.encode(),
        orjson.dumps(meta),
        b",".join([item(kind, version) for version in page.versions]),
    )
    return answer(body_bytes, how)


def refusal(error: StatusError, request: HttpRequest) -> Answer:
    """A StatusError as its Status, in YAML where that is what the client takes."""
    headers = []
    if error.details and "retryAfterSeconds" in error.details:
        headers.append(("Retry-After", str(error.details["retryAfterSeconds"])))
    body = orjson.dumps(error.body)
    if "yaml" not in request.headers.get("accept", ""):
        return Answer(error.code, body, headers=headers)
    try:
        return answer(body, negotiate(request), error.code, headers)
    except StatusError:
        return Answer(error.code, body, headers=headers)
