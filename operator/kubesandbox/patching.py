"""PATCH: which document the patch makes of the current object, by its media type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from kubesandbox import bodies, errors
from kubesandbox.objects import Json, Object, clone
from kubesandbox.wire.messages import HttpRequest

if TYPE_CHECKING:
    from kubesandbox.kinds import Kind

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
APPLY_CBOR = "application/apply-patch+cbor"


def accepted_types(kind: Kind) -> list[str]:
    """The patch types that a kind takes; custom resources have no strategic merge."""
    return [JSON_PATCH, MERGE_PATCH, *([] if kind.strategy.custom else [STRATEGIC]), APPLY]


def patch_type(request: HttpRequest, kind: Kind) -> str:
    """The request's patch type, or 415."""
    media = bodies.media_type(request)
    if media not in accepted_types(kind):
        raise errors.unsupported_media_type(accepted_types(kind))
    return media


def patched(media: str, current: Object, request: HttpRequest, kind: Kind, patch_meta: Json) -> Object:
    """A new object: `current` with the request's patch applied; `current` stays as it is."""
    body = _read(request)
    match media:
        case "application/json-patch+json":
            return _json_patch(current, body)
        case "application/merge-patch+json":
            if not isinstance(body, dict):
                raise errors.bad_request(f"error decoding patch: json: cannot unmarshal into an object: {body!r}")
            return merge(current, body)
        case _:
            raise errors.not_implemented("this patch type yet")


def _read(request: HttpRequest) -> Json:
    try:
        return orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise errors.bad_request(f"error decoding patch: {error}") from None


def merge(current: Json, patch: Json) -> Json:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(current) if isinstance(current, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return clone(result)


def _json_patch(current: Object, body: Json) -> Object:
    import jsonpatch

    try:
        result: Object = jsonpatch.apply_patch(current, body)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        raise errors.StatusError(422, "Invalid", f"the server rejected our request due to an error in our request: {error}", {}) from None
    return clone(result)
