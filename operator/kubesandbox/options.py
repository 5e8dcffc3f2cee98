"""What a request's query asks for, read once and refused where kube-apiserver refuses it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kubesandbox import errors
from kubesandbox.schema import causes
from kubesandbox.wire.messages import HttpRequest

if TYPE_CHECKING:
    from kubesandbox.kinds import Kind
    from kubesandbox.strategy import Request


@dataclass(frozen=True)
class ListOptions:
    """`metav1.ListOptions`."""

    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    token: str = ""
    revision: str = ""
    match: str = ""
    watch: bool = False
    bookmarks: bool = False
    initial_events: bool | None = None
    timeout: int | None = None


def truth(text: str | None) -> bool:
    """A boolean parameter: present and neither `0` nor `false` (apimachinery's Convert_Slice_string_To_bool)."""
    return text is not None and text.lower() not in {"false", "0"}


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.param(name)
    return None if text is None else integer(text)


def integer(text: str) -> int:
    """A number as Go's ParseInt reads it."""
    if not re.fullmatch("[-+]?[0-9]+", text):
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


_DURATION = re.compile(r"([0-9]*)(\.[0-9]*)?([^0-9.]*)")
_UNITS = frozenset({"ns", "us", "\u00b5s", "\u03bcs", "ms", "s", "m", "h"})


def check_timeout(request: HttpRequest) -> None:
    """400 for a `timeout` that is no duration (apiserver's request deadline filter, Go's ParseDuration)."""
    text = request.param("timeout")
    why = _no_duration(text) if text else ""
    if why:
        raise errors.bad_request(f"invalid timeout specified in the request URL - time: {why}")


def _no_duration(text: str) -> str:
    shown, rest = causes.quote(text), text[1:] if text[0] in "+-" else text
    if rest == "0":
        return ""
    if not rest:
        return f"invalid duration {shown}"
    while rest:
        match = _DURATION.match(rest)
        if match is None or not (match.group(1) or (match.group(2) or ".") != "."):
            return f"invalid duration {shown}"
        unit = match.group(3)
        if not unit:
            return f"missing unit in duration {shown}"
        if unit not in _UNITS:
            return f"unknown unit {causes.quote(unit)} in duration {shown}"
        rest = rest[match.end() :]
    return ""


def unparsed(revision: str) -> str:
    """Go's word for a resourceVersion that is no number."""
    return f'strconv.ParseUint: parsing "{revision}": invalid syntax'


def list_options(request: HttpRequest, kind: Kind) -> ListOptions:
    """The options of a list, watch or deletecollection."""
    initial = request.param("sendInitialEvents")
    options = ListOptions(
        label_selector=request.param("labelSelector") or "",
        field_selector=request.param("fieldSelector") or "",
        limit=max(0, _number(request, "limit") or 0),
        token=request.param("continue") or "",
        revision=request.param("resourceVersion") or "",
        match=request.param("resourceVersionMatch") or "",
        watch=truth(request.param("watch")),
        bookmarks=truth(request.param("allowWatchBookmarks")),
        initial_events=None if initial is None else truth(initial),
        timeout=_number(request, "timeoutSeconds"),
    )
    _check_list(options)
    if options.watch and options.initial_events is None and options.revision in {"", "0"}:
        options = replace(options, initial_events=True)  # SetListOptionsDefaults, under WatchList
    revision = options.revision
    if revision and not revision.isdigit():
        text = f"resourceVersion: Invalid value: {causes.quote(revision)}: {unparsed(revision)}"
        if options.watch:  # the storage layer finds out, whose errors have no reason
            raise errors.StatusError(500, "", text)
        raise errors.bad_request(f"invalid resource version: {text}")
    return options


def _check_list(options: ListOptions) -> None:
    found: list[causes.Cause] = []
    match, revision = options.match, options.revision
    if options.watch:
        by_default = options.initial_events is None and revision in {"", "0"}  # SetListOptionsDefaults
        if options.token and (match or by_default):
            found.append(
                causes.forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
            )
        if match and options.initial_events is None:
            found.append(
                causes.forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                )
            )
        if options.initial_events is not None and match != "NotOlderThan":
            found.append(
                causes.forbidden(
                    "resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
                )
            )
            if match:
                found.append(causes.not_supported("resourceVersionMatch", match, ["NotOlderThan"]))
    else:
        if options.initial_events is not None:
            found.append(causes.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
        if match and not revision:
            found.append(
                causes.forbidden(
                    "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"
                )
            )
        if match and options.token:
            found.append(
                causes.forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
            )
        if match not in {"", "Exact", "NotOlderThan"}:
            found.append(causes.not_supported("resourceVersionMatch", match, ["Exact", "NotOlderThan", ""]))
        if match == "Exact" and revision == "0":
            found.append(
                causes.forbidden(
                    "resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
                )
            )
    if found:
        raise errors.invalid("meta.k8s.io", "ListOptions", "", found)


@dataclass(frozen=True)
class WriteOptions:
    """`metav1.CreateOptions`, `UpdateOptions` and `PatchOptions`."""

    dry_run: bool = False
    manager: str = ""
    field_validation: str = "Warn"
    force: bool | None = None


def write_options(request: HttpRequest, kind: str, *, apply: bool = False) -> WriteOptions:
    """The options of a create, update or patch; `kind` names the options' own kind in errors."""
    found: list[causes.Cause] = []
    dry_run = request.query.get("dryRun", [])
    manager, force = request.param("fieldManager") or "", request.param("force")
    if apply and not manager:
        found.append(causes.required("fieldManager", "is required for apply patch"))
    if kind == "PatchOptions" and not apply and force is not None:
        found.append(causes.forbidden("force", "may not be specified for non-apply patch"))
    if len(manager) > 128:
        found.append(causes.too_long("fieldManager", 128))
    found += [
        causes.invalid("fieldManager", manager, f"invalid character U+{ord(sign):04X} (at position {at})")
        for at, sign in enumerate(manager)
        if not sign.isprintable()
    ]
    if any(value != "All" for value in dry_run):  # ValidateDryRun shows the whole list
        found.append(causes.not_supported("dryRun", dry_run, ["All"]))
    validation = request.param("fieldValidation") or "Warn"
    if validation not in {"Ignore", "Warn", "Strict"}:
        found.append(causes.not_supported("fieldValidation", validation, ["", "Ignore", "Strict", "Warn"]))
    if found:
        raise errors.invalid("meta.k8s.io", kind, "", found)
    return WriteOptions(
        "All" in dry_run, manager or _agent(request), validation, None if force is None else truth(force)
    )


def _agent(request: HttpRequest) -> str:
    """The manager of who names none: the user agent up to its slash."""
    agent = request.headers.get("user-agent", "").split("/")[0][:128]
    return "".join(sign for sign in agent if sign.isprintable()) or "unknown"


def apply_to(context: Request, options: WriteOptions) -> None:
    """Put a write's options where strategies find them."""
    context.dry_run, context.manager = options.dry_run, options.manager
    context.field_validation = options.field_validation
