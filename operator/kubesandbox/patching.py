"""PATCH: which document the patch makes of the current object, by its media type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesandbox import bodies, decoding, errors, metadata
from kubesandbox.conversion import converted
from kubesandbox.errors import CauseBody, StatusError
from kubesandbox.managers import schema_of
from kubesandbox.objects import Json, Object, clone
from kubesandbox.patch.apply import ApplyConflictError, ApplyInvalidError, ManagedFieldsGivenError, apply
from kubesandbox.patch.documents import (
    MalformedPatchError,
    PatchFailedError,
    PatchTooLargeError,
    json_patch,
    merge_patch,
)
from kubesandbox.patch.strategic import StrategicPatchError, go_value, strategic_merge
from kubesandbox.schema import causes
from kubesandbox.schema.causes import go_json
from kubesandbox.wire.messages import HttpRequest

if TYPE_CHECKING:
    from kubesandbox.kinds import Kind
    from kubesandbox.strategy import Request

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


def accepted_types(kind: Kind) -> list[str]:
    """The patch types that a kind takes; custom resources have no strategic merge."""
    return [JSON_PATCH, MERGE_PATCH, *([] if kind.strategy.custom else [STRATEGIC]), APPLY]


def patch_type(request: HttpRequest, kind: Kind) -> str:
    """The request's patch type, or 415."""
    media = bodies.media_type(request)
    if media not in accepted_types(kind) and not kind.strategy.custom:  # by the router of built-in kinds
        raise StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    if media not in accepted_types(kind):
        raise errors.unsupported_media_type(accepted_types(kind))
    return media


def patched(media: str, current: Object, request: HttpRequest, kind: Kind) -> Object:
    """A new object: `current` with the request's patch applied; `current` stays as it is."""
    body = _read(request, media)
    try:
        if media == JSON_PATCH:
            return json_patch(current, body)
        if body is None and media == MERGE_PATCH:
            raise errors.bad_request("Invalid JSON Patch")
        if not isinstance(body, dict):
            said = "" if media == STRATEGIC else "error decoding patch: "
            raise errors.bad_request(
                f"{said}json: cannot unmarshal {metadata.json_type(body)} into Go value of type "
                "map[string]interface {}"
            )
        if media == MERGE_PATCH:
            merged: Object = merge_patch(current, body)
            return merged
        return strategic_merge(current, body, schema_of(kind))
    except MalformedPatchError as error:
        raise errors.bad_request(f"error decoding patch: {error}") from None
    except PatchTooLargeError as error:
        raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {error}") from None
    except PatchFailedError:
        # Which operation failed, kube-apiserver keeps to itself.
        said = "the server rejected our request due to an error in our request"
        raise StatusError(422, "Invalid", said, {}) from None
    except StrategicPatchError as error:
        if error.code == 400:
            raise errors.bad_request(str(error)) from None
        raise StatusError(error.code, "Invalid" if error.code == 422 else "", str(error)) from None


def received(media: str, obj: Object, request: HttpRequest, kind: Kind, context: Request) -> Object:
    """What a patch made, as an object of the kind; 422 where it is none (handlers/patch.go)."""
    context.patching = True
    shown = go_json(obj)
    if media == STRATEGIC:  # laid over a Go struct, which knows its kind
        obj["kind"], obj["apiVersion"] = kind.kind, kind.api_version
        shown = go_value(_read(request, media))
    repeated = bodies.repeated(request, media) if context.field_validation != "Ignore" else []
    try:
        return decoding.receive(kind, obj, context, repeated)
    except StatusError as error:
        if kind.strategy.custom and error.code == 422:  # of another kind
            raise
        text = error.message.removeprefix(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
        )
        text = converted(text) if media == STRATEGIC else text
        raise errors.invalid("", "", "", [causes.invalid("patch", shown, text)]) from None


def applied(kind: Kind, live: Object | None, config: Json, request: Request, *, force: bool) -> Object:
    """What server-side apply makes of the live object, managedFields included."""
    try:
        return apply(
            live,
            config,
            manager=request.manager,
            force=force,
            kind_schema=schema_of(kind),
            api_version=kind.api_version,
            subresource=request.subresource,
            now=metadata.now(),
            mistyped=(wrong := kind.strategy.mistyped(config)),
            undeclared=[] if wrong else _undeclared(kind, config, request),
        )
    except ApplyConflictError as error:
        told = [CauseBody(reason=c["reason"], message=c["message"], field=c["field"]) for c in error.causes]
        raise StatusError(409, "Conflict", str(error), {"causes": told}) from None
    except ManagedFieldsGivenError as error:
        raise errors.bad_request(str(error)) from None
    except ApplyInvalidError as error:
        # kube-apiserver answers 500 here, not 400.
        raise StatusError(500, "", str(error)) from None


def _undeclared(kind: Kind, config: Json, request: Request) -> list[str]:
    """Where a configuration has fields that its built-in kind has not. A custom kind's schema says so itself."""
    if kind.strategy.custom:
        return []
    unknown = kind.strategy.decode(clone(config), request)
    return [text.removeprefix('unknown field "').removesuffix('"') for text in unknown]


def _read(request: HttpRequest, media: str) -> Json:
    try:
        return bodies.loads(request.body)
    except ValueError as error:
        said = "" if media == STRATEGIC else "error decoding patch: "
        raise errors.bad_request(f"{said}{error}") from None
