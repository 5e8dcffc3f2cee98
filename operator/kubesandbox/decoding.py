"""What a body says that it is: its kind, version and namespace, and the fields that it may have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import orjson

from kubesandbox import bodies, errors, metadata
from kubesandbox.conversion import converted
from kubesandbox.errors import StatusError
from kubesandbox.objects import Json, Object, clone, dig
from kubesandbox.schema import causes

if TYPE_CHECKING:
    from kubesandbox.kinds import Kind
    from kubesandbox.strategy import Request


def receive(kind: Kind, obj: Json, request: Request, repeated: Sequence[str] = ()) -> Object:
    """Check that a body is an object of this kind, drop what its type does not have, as `fieldValidation` asks."""
    if not isinstance(obj, dict):
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get version/kind; "
            f"json parse error: json: cannot unmarshal {metadata.json_type(obj)} into Go value of type "
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
            + (f" ({bodies.summarised(request.text)})" if request.text else "")
        )
    _check_gvk(kind, obj, request)
    unknown = list(repeated)
    meta = obj["metadata"] = _metadata(kind, obj.get("metadata"), unknown)
    unknown += kind.strategy.decode(obj, request)
    if len(unknown) > 1 and not kind.strategy.custom:
        unknown = _as_written(unknown, request)
    doubled = metadata.dedup_owners(meta)
    if doubled:
        request.warnings.append(doubled)
    report_unknown(kind.kind, kind.version, unknown, request)
    return obj


def _metadata(kind: Kind, given: Json, unknown: list[str]) -> Object:
    """ObjectMeta as Go decodes it; a custom resource's is decoded by itself."""
    from kubesandbox.builtin import types

    below: list[str] = []
    try:
        made = types.object_meta("" if kind.strategy.custom else kind.kind, {} if given is None else given, below)
    except types.DecodeError as error:
        why = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {error}'
        raise errors.bad_request(why) from None
    unknown += [f"metadata.{path}" for path in below] if kind.strategy.custom else below
    return made


def _as_written(unknown: list[str], request: Request) -> list[str]:
    """Unknown fields in the order in which the body has them, as Go's decoder meets them; what else is told first."""
    try:
        places = {path: place for place, path in enumerate(_paths(orjson.loads(request.text), ""))}
    except orjson.JSONDecodeError:
        return unknown
    return sorted(unknown, key=lambda path: places.get(path, -1))


def _paths(value: Json, path: str) -> Iterator[str]:
    """Every field's path, in the order of the text."""
    if isinstance(value, dict):
        for key, part in value.items():
            at = f"{path}.{key}" if path else key
            yield at
            yield from _paths(part, at)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _paths(part, f"{path}[{index}]")


_TOLD = ("duplicate field ", "unknown field ", "yaml: ")  # what else strict decoding finds, in its own words


def report_unknown(kind: str, version: str, unknown: list[str], request: Request) -> None:
    """Refuse, warn of, or ignore fields that the kind does not have, as `fieldValidation` asks."""
    said = [path if path.startswith(_TOLD) else f'unknown field "{path}"' for path in dict.fromkeys(unknown)]
    if not said or request.field_validation == "Ignore":
        return
    if request.field_validation == "Strict":
        raise errors.bad_request(
            f'{kind} in version "{version}" cannot be handled as a {kind}: strict decoding error: {", ".join(said)}'
        )
    request.warnings += said


def _check_gvk(kind: Kind, obj: Object, request: Request) -> None:
    api_version = obj.get("apiVersion") or kind.api_version
    found = obj.get("kind") or kind.kind
    for key in ("apiVersion", "kind"):
        if obj.get(key) is not None and not isinstance(obj[key], str):
            shown = request.text or causes.go_json(obj).encode()
            raise errors.bad_request(
                f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get version/kind; json "
                f"parse error: json: cannot unmarshal {metadata.json_type(obj[key])} into Go struct field .{key} of "
                f"type string ({bodies.summarised(shown)})"
            )
    if not kind.strategy.custom:
        _check_scheme(kind, api_version, found, request)
    elif request.patching and api_version != kind.api_version:
        wrong = causes.invalid("apiVersion", api_version, f"must be {kind.api_version}")
        raise errors.invalid(kind.group, kind.kind, obj["metadata"].get("name", ""), [wrong])
    elif api_version != kind.api_version:
        raise errors.bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version ({kind.api_version})"
        )
    elif found != kind.kind:
        wrong = causes.invalid("kind", found, f"must be {kind.kind}")
        name = obj["metadata"].get("name", "") if isinstance(obj.get("metadata"), dict) else ""
        raise errors.invalid(kind.group, found, name, [wrong])
    elif not obj.get("kind"):
        shown = request.text or causes.go_json(obj).encode()
        text = shown.decode(errors="replace")
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {kind.kind}): "
            f"Object 'Kind' is missing in '{text}' ({bodies.summarised(shown)})"
        )
    elif not obj.get("apiVersion"):
        raise errors.bad_request(
            f"the API version in the data () does not match the expected API version ({kind.api_version})"
        )
    body = {key: value for key, value in obj.items() if key not in {"apiVersion", "kind"}}
    obj.clear()
    obj.update({"kind": kind.kind, "apiVersion": kind.api_version, **body})


_SCHEMES = {"apiextensions.k8s.io": "pkg/apiserver/apiserver.go:55"}
_SCHEME = "pkg/api/legacyscheme/scheme.go:30"


def _check_scheme(kind: Kind, api_version: str, found: str, request: Request) -> None:
    """Refuse an object of another kind in the scheme's words: one that it cannot convert, or does not know."""
    if (api_version, found) == (kind.api_version, kind.kind):
        return
    group, _, version = api_version.rpartition("/")
    known = any(
        (k.group, k.version, k.kind) == (group, version, found) and not k.strategy.custom for k in request.cluster.kinds
    )
    if known:
        package = kind.group.split(".")[0] or "core"
        why = f"converting ({version}.{found}) to ({package}.{kind.kind}): unknown conversion"
    else:
        scheme = _SCHEMES.get(kind.group, _SCHEME)
        why = f'no kind "{found}" is registered for version "{api_version}" in scheme "{scheme}"'
    raise errors.bad_request(f'{found} in version "{version}" cannot be handled as a {kind.kind}: {why}')


def check_namespace(kind: Kind, meta: Object, request: Request) -> None:
    found = meta.get("namespace", "")
    if kind.namespaced:
        if found and found != request.namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        meta["namespace"] = request.namespace
    else:  # dropped, not refused (rest.EnsureObjectNamespaceMatchesRequestNamespace)
        meta.pop("namespace", None)


def check_applied(kind: Kind, name: str, config: Object, request: Request) -> None:
    """Refuse an apply configuration that is not of this object, or has fields that its kind does not have."""
    given, found = (text if isinstance(text := config.get(key), str) else "" for key in ("apiVersion", "kind"))
    if (given, found) != (kind.api_version, kind.kind):
        shown = given if "/" in given else f"/{given}"
        raise errors.bad_request(f"invalid object type: {shown}, Kind={found}")
    asked, request.field_validation = request.field_validation, "Ignore"  # typed merging finds unknown fields itself
    try:
        probe = _typed(kind, config, request)
    finally:
        request.field_validation = asked
    meta = probe["metadata"]
    meta.setdefault("name", name)
    check_addressed(kind, name, meta, request)


def _typed(kind: Kind, config: Object, request: Request) -> Object:
    """An apply configuration as an object of the kind. What is not of its types is 500 on kube-apiserver, too."""
    if kind.strategy.mistyped(config):  # merging tells where
        given = config.get("metadata")
        return {**config, "metadata": dict(given) if isinstance(given, dict) else {}}
    try:
        return receive(kind, clone(config), request)
    except StatusError as error:
        _, told, text = error.message.partition(f" cannot be handled as a {kind.kind}: ")
        if not told:
            raise
        meta = config.get("metadata") if isinstance(config.get("metadata"), dict) else {}
        at = f"{dig(meta, 'namespace') or ''}/{dig(meta, 'name') or ''}"
        what = f"{kind.group}/{kind.version}, Kind={kind.kind}"
        said = (
            f"failed to convert new object ({at}; {what}) to proper version: unable to convert unstructured object to"
        )
        raise StatusError(500, "", f"{said} {what}: {converted(text)}") from None


def check_addressed(kind: Kind, name: str, meta: Object, request: Request) -> None:
    found = meta.get("name", "")
    if not found:
        raise errors.bad_request(
            f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )
    if found != name:
        raise errors.bad_request(f"the name of the object ({found}) does not match the name on the URL ({name})")
    if kind.namespaced:
        namespace = meta.get("namespace", "")
        if namespace and namespace != request.namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        meta["namespace"] = request.namespace
