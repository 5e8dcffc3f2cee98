"""Requests for resources: from a path and a verb to a stored change and an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from random import Random
from typing import TYPE_CHECKING

import orjson

from kubesandbox import bodies, crud, decoding, deletion, errors, rendering, tables, unserved, watch
from kubesandbox.auth import User
from kubesandbox.crud import Outcome
from kubesandbox.dispatch import handler_of
from kubesandbox.kinds import Kind, Subresource
from kubesandbox.listing import matcher
from kubesandbox.metadata import json_type
from kubesandbox.negotiation import YAML, Accepted, check_router, not_streamed
from kubesandbox.objects import Json, Object, clone
from kubesandbox.options import ListOptions, apply_to, list_options, truth, unparsed, write_options
from kubesandbox.paths import RequestInfo
from kubesandbox.reviews import ReviewStrategy
from kubesandbox.schema import causes
from kubesandbox.store import Version
from kubesandbox.strategy import Request
from kubesandbox.wire.messages import Answer, HttpRequest, Stream, text_answer

if TYPE_CHECKING:
    from kubesandbox.cluster import Cluster

Verb = Callable[[Kind, RequestInfo, HttpRequest, Request], Answer | Stream]
# What kube-apiserver says to who deletes a Job without saying what becomes of its pods.
ORPHANS = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
    "propagationPolicy=Orphan to suppress this warning"
)
MIN_WATCH_SECONDS = 1800  # kube-apiserver's --min-request-timeout; a watch lasts up to twice that


class Resources:
    """The verbs on the resources that the cluster serves."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._random = Random()

    async def handle(self, kind: Kind, info: RequestInfo, request: HttpRequest, user: User) -> Answer | Stream:
        """Answer one request for this kind."""
        context = Request(self._cluster, user, info.namespace if kind.namespaced else "", subresource=info.subresource)
        context.warnings += kind.strategy.warnings
        if not kind.strategy.custom:
            check_router(request.headers.get("accept"), collection=info.verb in {"list", "watch"} and not info.name)
        try:
            answer = await self._answer(kind, info, request, context)
        except errors.StatusError as error:
            answer = rendering.refusal(error, request)
        answer.headers += [("Warning", f'299 - "{_quoted(text)}"') for text in dict.fromkeys(context.warnings)]
        return answer

    async def _answer(self, kind: Kind, info: RequestInfo, request: HttpRequest, context: Request) -> Answer | Stream:
        if info.name in {".", ".."} and info.verb in kind.verbs:
            raise errors.bad_request(f"Name parameter invalid: {causes.quote(info.name)}: may not be '{info.name}'")
        if not info.subresource:
            return _unroutable(kind, info) or await self._verb(kind, info, request, context)
        subresource = kind.subresources.get(info.subresource)
        if subresource is None:
            if kind.strategy.custom:
                raise errors.not_found(kind.group, kind.plural, info.name)
            refused = unserved.subresource(info)
            if refused:
                raise refused
            raise errors.no_route()
        if info.rest and not kind.strategy.custom:
            raise errors.no_route()
        if info.verb not in subresource.verbs:
            return _wrong_method(kind, info)
        if info.subresource != "status":
            return await self._special(kind, subresource, info, request, context)
        return await self._verb(kind, info, request, context)

    async def _special(
        self, kind: Kind, subresource: Subresource, info: RequestInfo, request: HttpRequest, context: Request
    ) -> Answer | Stream:
        handler = handler_of(kind, subresource.name)
        if handler is None:
            raise errors.not_implemented(f"{kind.qualified}/{subresource.name}")
        return await handler(kind, info, request, context)

    async def _verb(self, kind: Kind, info: RequestInfo, request: HttpRequest, context: Request) -> Answer | Stream:
        if info.verb == "create":
            return await self.create(kind, request, context)
        verbs: dict[str, Verb] = {
            "get": self.get,
            "list": self.list,
            "watch": self.watch,
            "update": self.update,
            "patch": self.patch,
            "delete": self.delete,
            "deletecollection": self.delete_collection,
        }
        return verbs[info.verb](kind, info, request, context)

    def get(self, kind: Kind, info: RequestInfo, request: HttpRequest, context: Request) -> Answer:
        """GET of one object."""
        how = rendering.negotiate(request)
        revision = request.param("resourceVersion") or ""
        if revision and not revision.isdigit():
            text = f"resourceVersion: Invalid value: {causes.quote(revision)}: {unparsed(revision)}"
            raise errors.StatusError(500, "", text)
        if revision and int(revision) > self._cluster.store.revision:
            raise errors.too_large_resource_version(int(revision), self._cluster.store.revision)
        return rendering.one(kind, crud.get(kind, context, info.name), how, request)

    def list(self, kind: Kind, info: RequestInfo, request: HttpRequest, context: Request) -> Answer:
        """GET of a collection."""
        how = rendering.negotiate(request)
        options = list_options(request, kind)
        page = self._cluster.lister.page(kind, context.namespace, options)
        return rendering.many(kind, page, how, request)

    async def create(self, kind: Kind, request: HttpRequest, context: Request) -> Answer:
        """POST to a collection."""
        if isinstance(kind.strategy, ReviewStrategy):
            return await kind.strategy.create(kind, request, context)
        how = rendering.negotiate(request)
        self._write_context(request, context, "CreateOptions")
        obj = self._received(kind, request, context)
        outcome = crud.create(kind, obj, context)
        return rendering.one(kind, outcome.version, how, request, status=201)

    @staticmethod
    def _received(kind: Kind, request: HttpRequest, context: Request) -> Object:
        """The body of a create or update as an object of the kind."""
        body = bodies.read_object(request, kind.kind, custom=kind.strategy.custom)
        body = {} if body is None and not kind.strategy.custom else body
        context.text = request.body
        repeated = bodies.repeated(request) if context.field_validation != "Ignore" else []
        return decoding.receive(kind, body, context, repeated)

    def _write_context(self, request: HttpRequest, context: Request, kind: str, *, apply: bool = False) -> bool:
        """Read the options of a write into the context; gives `force`."""
        options = write_options(request, kind, apply=apply)
        apply_to(context, options)
        return bool(options.force)

    def update(self, kind: Kind, info: RequestInfo, request: HttpRequest, context: Request) -> Answer:
        """PUT of an object or of its status."""
        how = rendering.negotiate(request)
        self._write_context(request, context, "UpdateOptions")
        obj = self._received(kind, request, context)
        outcome = crud.update(kind, info.name, obj, context)
        return rendering.one(kind, outcome.version, how, request, status=201 if outcome.created else 200)

    def patch(self, kind: Kind, info: RequestInfo, request: HttpRequest, context: Request) -> Answer:
        """PATCH of an object or of its status, by any patch type."""
        from kubesandbox.patching import APPLY, patch_type

        how = rendering.negotiate(request)
        media = patch_type(request, kind)
        force = self._write_context(request, context, "PatchOptions", apply=media == APPLY)
        outcome = self.patch_object(kind, info.name, media, request, context, force=force)
        return rendering.one(kind, outcome.version, how, request, status=201 if outcome.created else 200)

    def patch_object(
        self, kind: Kind, name: str, media: str, request: HttpRequest, context: Request, *, force: bool
    ) -> Outcome:
        """Apply the request's patch to one object and store what comes of it."""
        from kubesandbox.patching import APPLY, patched, received

        if media == APPLY:
            return self._apply(kind, name, request, context, force=force)
        current = crud.get(kind, context, name)
        old = crud.view(kind, current)
        obj = patched(media, old, request, kind)
        return crud.update(kind, name, received(media, obj, request, kind, context), context)

    def _apply(self, kind: Kind, name: str, request: HttpRequest, context: Request, *, force: bool) -> Outcome:
        from kubesandbox.patching import applied

        context.patching = True
        try:
            config = bodies.read_yaml(request.body, kind.kind)
        except errors.StatusError as error:
            why = error.message.partition("converting YAML to JSON: ")[2].rpartition(" (")[0]
            raise errors.bad_request(f"error decoding YAML: {why}") from None
        if config is None:
            config = {}
        if not isinstance(config, dict):
            found = json_type(config)
            raise errors.bad_request(
                "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
                f"{found} into Go value of type map[string]interface {{}}"
            )
        decoding.check_applied(kind, name, config, context)
        current = self._cluster.store.table(*kind.table_key).get(context.namespace, name)
        if current is None and context.subresource:
            raise errors.not_found(kind.group, kind.plural, name)
        live = crud.view(kind, current) if current else None
        obj = applied(kind, live, clone(config), context, force=force)
        obj["metadata"].setdefault("name", name)
        wrong = kind.strategy.nulls(obj)
        if wrong:
            raise errors.invalid(kind.group, kind.kind, name, wrong)
        made = decoding.receive(kind, obj, context)
        if current is None:
            return crud.create(kind, made, context, applied=True)
        return crud.update(kind, name, made, context, applied=True)

    def delete(self, kind: Kind, info: RequestInfo, request: HttpRequest, context: Request) -> Answer:
        """DELETE of one object."""
        how = rendering.negotiate(request)
        options = deletion.options_of(request)
        context.dry_run = options.dry_run
        outcome = deletion.delete(kind, info.name, options, context)
        if kind.strategy.propagation == "Orphan" and options.propagation is None:
            context.warnings.append(ORPHANS)
        if outcome.gone and not kind.strategy.returns_deleted:
            return rendering.answer(orjson.dumps(deletion.gone_body(kind, outcome.version)), how)
        orphan = truth(request.param("orphanDependents")) if request.param("orphanDependents") else None
        status = 202 if not outcome.gone and orphan is False else 200
        return rendering.one(kind, outcome.version, how, request, status=status)

    def delete_collection(self, kind: Kind, info: RequestInfo, request: HttpRequest, context: Request) -> Answer:
        """DELETE of all that a selector matches."""
        how = rendering.negotiate(request)
        options = deletion.options_of(request)
        context.dry_run = options.dry_run
        page = self._cluster.lister.page(kind, context.namespace, list_options(request, kind))
        deleted: list[Version] = []
        for version in page.versions:
            meta = version.object["metadata"]
            context.namespace = meta.get("namespace", "")
            try:
                deleted.append(deletion.delete(kind, meta["name"], options, context).version)
            except errors.StatusError as error:
                if error.code != 404:
                    raise
        page.versions = deleted
        page.revision = self._cluster.store.revision
        return rendering.many(kind, page, how, request)

    def watch(self, kind: Kind, info: RequestInfo, request: HttpRequest, context: Request) -> Stream:
        """A stream of events."""
        how = rendering.negotiate(request)
        if how.media == YAML:
            raise not_streamed()
        options = list_options(request, kind)
        if info.name:  # the old /watch/…/name path
            options = _named(options, info.name)
        matches = matcher(kind, options)
        table = self._cluster.store.table(*kind.table_key)
        ahead = int(options.revision or 0) > self._cluster.store.revision
        if ahead and options.initial_events:
            late = errors.too_large_resource_version(int(options.revision), self._cluster.store.revision)
            return Stream(_only(watch.line("ERROR", orjson.dumps(late.body))))
        timeout = options.timeout or MIN_WATCH_SECONDS * (1 + self._random.random())
        hostility = self._cluster.hostility
        end = hostility.watch_end() if hostility else None
        asked = watch.Asked(options.revision, options.initial_events, options.bookmarks, timeout, end)
        lag = hostility.watch_lag if hostility else None
        watcher = watch.Watcher(table, context.namespace, matches, after=int(options.revision) if ahead else 0, lag=lag)
        encode, bookmark = _encoders(kind, how, request.param("includeObject") or "")
        chunks: AsyncIterator[bytes] = watch.stream(watcher, asked, encode, bookmark)
        return Stream(chunks, content_type="application/json;stream=watch" if how.stream else "application/json")


async def _only(line: bytes) -> AsyncIterator[bytes]:
    """A stream of one event."""
    yield line


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _unroutable(kind: Kind, info: RequestInfo) -> Answer | None:
    """The answer to a verb that this path does not have."""
    across = kind.namespaced and not info.namespace and info.verb not in {"list", "watch"}
    nameless = info.verb in {"update", "patch"} and not info.name
    below = not kind.namespaced and info.namespace and (kind.plural != "namespaces" or info.namespace != info.name)
    if (below or across) and kind.strategy.custom:  # crdHandler passes on what is out of its scope
        return text_answer(404, "404 page not found\n")
    if below:
        raise errors.no_route()
    if nameless and kind.strategy.custom:
        raise errors.bad_request("name must be provided")
    named = info.verb == "create" and bool(info.name) and not kind.strategy.custom  # crdHandler takes it all the same
    if info.verb not in kind.verbs or across or nameless or named:
        return _wrong_method(kind, info)
    return None


def _wrong_method(kind: Kind, info: RequestInfo) -> Answer:
    """405: of the API's own making for custom resources, of the router's for built-in ones."""
    if kind.strategy.custom:
        raise errors.method_not_allowed(kind.group, kind.plural, info.verb)
    raise errors.wrong_method()


def _named(options: ListOptions, name: str) -> ListOptions:
    fields = f"metadata.name={name}"
    text = f"{options.field_selector},{fields}" if options.field_selector else fields
    return ListOptions(**{**options.__dict__, "field_selector": text})


def _encoders(kind: Kind, how: Accepted, include: str) -> tuple[watch.Encoder, watch.Bookmark]:
    """How this watch writes its events and bookmarks."""
    if how.shape == "Table":
        columns, headers = kind.strategy.columns(), [True]

        def as_table(obj: Object, *, empty: bool = False) -> bytes:
            shown = headers[0]
            headers[0] = False
            meta = {"resourceVersion": obj["metadata"]["resourceVersion"]}
            rows = [] if empty else [obj]
            return orjson.dumps(tables.table(rows, columns, include, meta, headers=shown, version=how.version))

        def encode(event: str, version: Version) -> bytes:
            return watch.line(event, as_table(crud.view(kind, version)))

        def bookmark(revision: int, initial: bool) -> bytes:
            obj = watch.bookmark_object(kind.kind, kind.api_version, revision, initial=initial)
            meta = {"resourceVersion": str(revision)}
            body = tables.table([], columns, include, meta, headers=headers[0], version=how.version)
            cells: list[Json] = ["" if kind.strategy.custom else None, *(None for _ in columns[1:])]  # it has no name
            body["rows"] = [{"cells": cells, "object": tables.partial(obj, how.version)}]
            headers[0] = False
            return watch.line("BOOKMARK", orjson.dumps(body))

        return encode, bookmark

    if how.shape:
        name, version_name = "PartialObjectMetadata", f"meta.k8s.io/{how.version}"

        def encode_object(version: Version) -> bytes:
            return orjson.dumps(tables.partial(crud.view(kind, version), how.version))
    else:
        name, version_name = kind.kind, kind.api_version

        def encode_object(version: Version) -> bytes:
            return rendering.encode(kind, version)

    def encode_event(event: str, version: Version) -> bytes:
        return watch.line(event, encode_object(version))

    def encode_bookmark(revision: int, initial: bool) -> bytes:
        body = watch.bookmark_object(name, version_name, revision, initial=initial)
        return watch.line("BOOKMARK", orjson.dumps(body))

    return encode_event, encode_bookmark
