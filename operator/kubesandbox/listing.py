"""Lists: selection, pages of one consistent state, and reads of an earlier one."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from kubesandbox import bodies, errors
from kubesandbox.kinds import Kind
from kubesandbox.objects import Object, dig
from kubesandbox.options import ListOptions
from kubesandbox.selectors import SelectorError, parse_fields, parse_labels
from kubesandbox.store import Store, Version

SNAPSHOTS = 64  # states that a continue token may still refer to
SNAPSHOT_SECONDS = 300.0


@dataclass
class Page:
    """One answer to a list."""

    versions: list[Version]
    revision: int
    token: str = ""
    remaining: int | None = None


@dataclass
class _Snapshot:
    versions: list[Version]
    revision: int
    at: float


def matcher(kind: Kind, options: ListOptions) -> Callable[[Object], bool] | None:
    """The predicate of a request's selectors, or None where everything matches."""
    try:
        labels = parse_labels(options.label_selector)
    except SelectorError as error:
        raise errors.bad_request(str(error)) from None
    known = {"metadata.name", *(["metadata.namespace"] if kind.namespaced else []), *kind.strategy.selectable}
    if not kind.namespaced:
        known.add("metadata.namespace")
    unsupported = _unsupported(kind)
    try:
        fields = parse_fields(options.field_selector, known.__contains__, unsupported)
    except SelectorError as error:
        raise errors.bad_request(str(error)) from None
    if not labels and not fields:
        return None

    def matches(obj: Object) -> bool:
        meta = obj["metadata"]
        if labels and not labels.matches(meta.get("labels") or {}):
            return False
        if not fields:
            return True
        values = {"metadata.name": meta["name"], "metadata.namespace": meta.get("namespace", "")}
        return fields.matches({**dict.fromkeys(kind.strategy.selectable, ""), **kind.strategy.fields(obj), **values})

    return matches


def _unsupported(kind: Kind) -> Callable[[str], str]:
    def say(key: str) -> str:
        text = getattr(kind.strategy, "unsupported_field", None)
        if text is None and not kind.group and kind.strategy.selectable:  # pkg/apis/core/v1/conversion.go
            return f"field label not supported: {key}"
        return (
            text(key) if text else f'"{key}" is not a known field selector: only "metadata.name", "metadata.namespace"'
        )

    return say


class Lister:
    """Answers lists of every kind, and remembers the states that pages were cut from."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.lag: Callable[[], float] | None = None  # seconds by which `resourceVersion=0` is late (a hostile cluster)
        self._snapshots: OrderedDict[str, _Snapshot] = OrderedDict()

    def page(self, kind: Kind, namespace: str, options: ListOptions) -> Page:
        """The objects asked for, as of one revision."""
        matches = matcher(kind, options)
        if options.token:
            return self._continue(options)
        versions, revision = self._state(kind, namespace, options)
        if matches:
            versions = [version for version in versions if matches(version.object)]
        # The watch cache, which answers `resourceVersion=0`, knows no pages.
        limit = 0 if options.revision == "0" else options.limit
        return self._cut(_Snapshot(versions, revision, time.monotonic()), 0, limit, counted=matches is None)

    def _state(self, kind: Kind, namespace: str, options: ListOptions) -> tuple[list[Version], int]:
        table = self._store.table(*kind.table_key)
        asked, current = int(options.revision or 0), self._store.revision
        if asked > current:
            raise errors.too_large_resource_version(asked, current)
        exact = options.match == "Exact" or (options.limit and asked and not options.match)
        if exact and asked < current:
            versions = table.at(asked, namespace)
            if versions is None:
                raise errors.expired(f"The provided resource version is too old: {asked}")
            return versions, asked
        if self.lag is not None and options.revision == "0":
            seen = table.seen_by(time.monotonic() - self.lag())
            versions = table.at(seen, namespace)
            if versions is not None:
                return versions, seen
        return list(table.scan(namespace)), current

    def _cut(self, snapshot: _Snapshot, start: int, limit: int, *, counted: bool) -> Page:
        versions = snapshot.versions
        if not limit or start + limit >= len(versions):
            return Page(versions[start:], snapshot.revision)
        self._forget()
        name = secrets.token_hex(8)
        self._snapshots[name] = snapshot
        token = {"v": "meta.k8s.io/v1", "rv": snapshot.revision, "start": f"{name}/{start + limit}/{int(counted)}"}
        encoded = base64.urlsafe_b64encode(orjson.dumps(token)).decode().rstrip("=")
        remaining = len(versions) - start - limit if counted else None
        return Page(versions[start : start + limit], snapshot.revision, encoded, remaining)

    def _continue(self, options: ListOptions) -> Page:
        if options.revision and options.revision != "0":
            raise errors.bad_request("specifying resource version is not allowed when using continue")
        try:
            token = orjson.loads(base64.urlsafe_b64decode(options.token + "=" * (-len(options.token) % 4)))
            name, start, counted = str(dig(token, "start")).split("/")
            at = int(start)
        except (ValueError, binascii.Error):
            raise errors.bad_request(
                f"invalid continue token: continue key is not valid: {_why(options.token)}"
            ) from None
        self._forget()
        snapshot = self._snapshots.get(name)
        if snapshot is None:
            raise errors.expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new "
                "list without the continue parameter."
            )
        return self._cut(snapshot, at, options.limit, counted=counted == "1")

    def _forget(self) -> None:
        oldest = time.monotonic() - SNAPSHOT_SECONDS
        while self._snapshots:
            name, snapshot = next(iter(self._snapshots.items()))
            if snapshot.at >= oldest and len(self._snapshots) < SNAPSHOTS:
                return
            del self._snapshots[name]

    def expire(self) -> None:
        """Make every outstanding continue token too old."""
        self._snapshots.clear()


def _why(token: str) -> str:
    """What apiserver's DecodeContinue says of a token that is none."""
    wrong = re.search("[^-_A-Za-z0-9]", token)
    if wrong or len(token) % 4 == 1:
        return f"illegal base64 data at input byte {wrong.start() if wrong else len(token) - 1}"
    data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    try:
        decoded = bodies.loads(data)
    except ValueError:  # Go looks at bytes, not at what they may encode
        return bodies.json_error(data.decode("latin-1").encode())
    version = decoded.get("v") if isinstance(decoded, dict) else None
    if version != "meta.k8s.io/v1":
        return f"server does not recognize this encoded version {version or ''}"
    if not decoded.get("rv"):
        return f"incorrect encoded start resourceVersion (version {version})"
    if not decoded.get("start"):
        return f"encoded start key empty (version {version})"
    return str(decoded["start"])
