"""Jobs: defaults and validation (kubernetes pkg/apis/batch)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from kubesandbox import metadata, names
from kubesandbox.builtin import podspecs
from kubesandbox.builtin.label_selectors import validate_selector
from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.objects import Json, Object, child, clone, dig
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause
from kubesandbox.selectors import from_struct
from kubesandbox.strategy import Request

_COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
_MOVABLE = {"metadata": ("labels", "annotations"), "spec": ("nodeSelector", "tolerations", "schedulingGates")}
_ACTIONS = ["Count", "FailIndex", "FailJob", "Ignore"]
_OPERATORS = ["In", "NotIn"]
_STATUSES = ["False", "True", "Unknown"]
#: What is fixed once a Job is there; its template is too, but for what says where and with how much its pods run.
_FIXED = ("selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")
_MOST_RULES, _MOST_VALUES, _MOST_INDEXES, _LONGEST = 20, 255, 100_000, 63


class JobStrategy(BuiltinStrategy):
    """Jobs: the server makes their selector and labels their pods with it."""

    checks_whole = "core"
    counts_generations = True
    has_status = True
    propagation = "Orphan"  # batch/v1 keeps what batch/v1beta1's clients expect
    selectable = frozenset({"status.successful"})

    def default(self, obj: Object) -> None:
        spec = child(obj, "spec")
        if spec.get("completions") is None and spec.get("parallelism") is None:
            spec["completions"] = spec["parallelism"] = 1
        spec.setdefault("parallelism", 1)
        replaced = "TerminatingOrFailed" if spec.get("podFailurePolicy") is None else "Failed"
        for key, value in (
            ("backoffLimit", 6 if spec.get("backoffLimitPerIndex") is None else 2**31 - 1),
            ("completionMode", "NonIndexed"),
            ("suspend", False),
            ("manualSelector", False),
            ("podReplacementPolicy", replaced),
        ):
            spec.setdefault(key, value)
        for rule in dig(spec, "podFailurePolicy", "rules") or ():
            for pattern in rule.get("onPodConditions") or ():
                pattern["status"] = pattern.get("status") or "True"
        podspecs.default_template(child(spec, "template"))

    def prepare_create(self, obj: Object, request: Request) -> None:
        super().prepare_create(obj, request)
        uid, name = obj["metadata"]["uid"], obj["metadata"].get("name", "")
        if not obj["spec"].setdefault("manualSelector", False):
            asked = dig(obj, "spec", "selector", "matchLabels") or {}
            labels = child(obj["spec"], "template", "metadata", "labels")
            labels |= {
                "batch.kubernetes.io/controller-uid": uid,
                "batch.kubernetes.io/job-name": name,
                "controller-uid": uid,
                "job-name": name,
            }
            obj["spec"]["selector"] = {"matchLabels": {**asked, "batch.kubernetes.io/controller-uid": uid}}
        if not obj["metadata"].get("labels"):
            obj["metadata"]["labels"] = dict(child(obj["spec"], "template", "metadata", "labels"))

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        return [*_host_names(obj), *self._selector(obj), *_spec(obj["spec"])]

    @staticmethod
    def _selector(obj: Object) -> list[Cause]:
        """A selector is the server's or, with manualSelector, the user's; it selects the Job's own pods."""
        selector = obj["spec"].get("selector")
        if selector is None:
            found = [causes.required("spec.selector")]
        elif found := validate_selector(selector, "spec.selector"):
            return found
        parsed, labels = from_struct(selector), dig(obj, "spec", "template", "metadata", "labels")
        if parsed is None or not parsed.matches(labels or {}):
            text = "`selector` does not match template `labels`"
            found.append(causes.invalid("spec.template.metadata.labels", labels, text))
        if not obj["spec"].get("manualSelector") and parsed is not None:
            uid, name = obj["metadata"]["uid"], obj["metadata"].get("name", "")
            made = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name}
            if not parsed.matches({**made, "controller-uid": uid, "job-name": name}):
                found.append(causes.invalid("spec.selector", selector, "`selector` not auto-generated"))
        return found

    def validate_update(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        new, was = obj["spec"], old["spec"]
        found = [*self._selector(obj), *_spec(new)]
        fixed = list(_FIXED)
        if new["completionMode"] != "Indexed":
            fixed.append("completions")
        elif new.get("completions") not in {None, was.get("completions"), new.get("parallelism")}:
            text = "can only be modified in tandem with spec.parallelism"
            found.append(causes.invalid("spec.completions", new["completions"], text))
        found += [
            causes.invalid(f"spec.{key}", new.get(key), metadata.IMMUTABLE)
            for key in fixed
            if new.get(key) != was.get(key)
        ]
        if new["template"] != _template_as_it_may_be(old, new["template"]):
            found.append(causes.invalid("spec.template", new["template"], metadata.IMMUTABLE))
        return found

    def fields(self, obj: Object) -> Mapping[str, str]:
        return {"status.successful": str(dig(obj, "status", "succeeded") or 0)}


def _template_as_it_may_be(old: Object, new: Object) -> Object:
    """The old template with what a Job that is suspended and has not begun may change taken from the new one."""
    made: Object = clone(old["spec"]["template"])
    if not old["spec"].get("suspend") or dig(old, "status", "startTime") is not None:
        return made
    for part, keys in _MOVABLE.items():
        if part in made or part in new:
            for key in keys:
                _take(child(made, part), new.get(part) or {}, key)
    affinity = dig(new, "spec", "affinity")
    if affinity is not None:
        _take(child(made, "spec", "affinity"), affinity, "nodeAffinity")
    elif dig(made, "spec", "affinity"):
        made["spec"]["affinity"].pop("nodeAffinity", None)
        if not made["spec"]["affinity"]:
            del made["spec"]["affinity"]
    pairs = zip(podspecs.containers(made["spec"]), podspecs.containers(new["spec"]), strict=False)
    for was, now in pairs:
        if was["name"] == now["name"]:
            _take(was, now, "resources")
    return made


def _take(into: Object, given: Object, key: str) -> None:
    into.pop(key, None)
    if key in given:
        into[key] = given[key]


def _host_names(obj: Object) -> Iterator[Cause]:
    """A pod of an indexed Job is called by its number, too."""
    spec, name = obj["spec"], obj["metadata"].get("name", "")
    completions = spec.get("completions") or 0
    if spec["completionMode"] == "Indexed" and completions > 0 and names.label(f"{name}-{completions - 1}"):
        text = f"will not able to create pod with invalid DNS label: {name}-{completions - 1}"
        yield causes.invalid("metadata.name", name, text)


def _spec(spec: Object) -> Iterator[Cause]:
    for key in _COUNTS:
        if isinstance(spec.get(key), int) and spec[key] < 0:
            yield causes.invalid(f"spec.{key}", spec[key], podspecs.NON_NEGATIVE)
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        yield causes.required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    if spec.get("managedBy") is not None:
        yield from _managed_by(spec["managedBy"])
    yield from _completion(spec)
    policy = spec.get("podFailurePolicy")
    if policy is not None:
        yield from _failure_policy(spec, policy.get("rules") or [])
    if spec.get("successPolicy") is not None:
        yield from _success_policy(spec, spec["successPolicy"])
    replacement, known = spec["podReplacementPolicy"], ["Failed"] if policy else ["Failed", "TerminatingOrFailed"]
    if replacement not in known:
        yield causes.not_supported("spec.podReplacementPolicy", replacement, known)
    yield from podspecs.validate_template(spec["template"], "spec.template", podspecs.RESTART_POLICIES)
    restart, at = dig(spec, "template", "spec", "restartPolicy"), "spec.template.spec.restartPolicy"
    if restart == "Always":
        yield causes.required(at, 'valid values: "OnFailure", "Never"')
    elif restart not in podspecs.RESTART_POLICIES:
        yield causes.not_supported(at, restart, ["OnFailure", "Never"])
    elif policy is not None and restart != "Never":
        yield causes.invalid(at, restart, 'only "Never" is supported when podFailurePolicy is specified')


_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")


def _managed_by(value: str) -> Iterator[Cause]:
    at = "spec.managedBy"
    host, _, path = value.partition("/")
    if not value:
        yield causes.required(at)
    elif not host or not path:
        yield causes.invalid(at, value, 'must be a domain-prefixed path (such as "acme.io/foo")')
    else:
        yield from (causes.invalid(at, host, text) for text in names.subdomain(host))
        if not _PATH.fullmatch(path):
            text = f"Invalid path (regex used for validation is '{_PATH.pattern}')"
            yield causes.invalid(at, path, text)
    if len(value.encode()) > _LONGEST:
        yield causes.too_long(at, _LONGEST)


def _completion(spec: Object) -> Iterator[Cause]:
    """What the way of completing asks of the numbers."""
    mode, modes = spec["completionMode"], ["NonIndexed", "Indexed"]
    completions, failed = spec.get("completions"), spec.get("maxFailedIndexes")
    if mode not in modes:
        yield causes.not_supported("spec.completionMode", mode, modes)
    elif mode == "NonIndexed":
        for key in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(key) is not None:
                yield causes.invalid(f"spec.{key}", spec[key], "requires indexed completion mode")
    else:
        if completions is None:
            yield causes.required("spec.completions", "when completion mode is Indexed")
        if (spec.get("parallelism") or 0) > _MOST_INDEXES:
            text = f"must be less than or equal to {_MOST_INDEXES} when completion mode is Indexed"
            yield causes.invalid("spec.parallelism", spec["parallelism"], text)
        if completions is not None and failed is not None and failed > completions:
            yield causes.invalid("spec.maxFailedIndexes", failed, "must be less than or equal to completions")
        if failed is not None and failed > _MOST_INDEXES:
            yield causes.invalid("spec.maxFailedIndexes", failed, f"must be less than or equal to {_MOST_INDEXES}")


def _failure_policy(spec: Object, rules: list[Json]) -> Iterator[Cause]:
    at = "spec.podFailurePolicy.rules"
    if len(rules) > _MOST_RULES:
        yield causes.too_many(at, len(rules), _MOST_RULES)
    pod = dig(spec, "template", "spec") or {}
    known = {it.get("name") for key in ("containers", "initContainers") for it in pod.get(key) or ()}
    for index, rule in enumerate(rules):
        path = f"{at}[{index}]"
        action, codes, conditions = rule.get("action"), rule.get("onExitCodes"), rule.get("onPodConditions")
        if action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            yield causes.invalid(f"{path}.action", action, "requires the backoffLimitPerIndex to be set")
        yield from _one_of(f"{path}.action", action, _ACTIONS)
        if codes is not None:
            yield from _exit_codes(codes, f"{path}.onExitCodes", known)
        for number, pattern in enumerate(conditions or ()):
            where = f"{path}.onPodConditions[{number}]"
            kind = pattern.get("type") or ""
            yield from (causes.invalid(f"{where}.type", kind, text) for text in names.label_key(kind))
            yield from _one_of(f"{where}.status", pattern.get("status"), _STATUSES)
        if codes is not None and conditions:
            yield causes.invalid_unshown(path, "specifying both OnExitCodes and OnPodConditions is not supported")
        if codes is None and not conditions:
            yield causes.invalid_unshown(path, "specifying one of OnExitCodes and OnPodConditions is required")


def _one_of(path: str, value: str | None, known: list[str]) -> Iterator[Cause]:
    if not value:
        shown = " ".join(f'"{it}"' for it in known)
        yield causes.required(path, f"valid values: [{shown}]")
    elif value not in known:
        yield causes.not_supported(path, value, known)


def _exit_codes(codes: Object, path: str, containers: set[Json]) -> Iterator[Cause]:
    operator, values = codes.get("operator"), codes.get("values")
    yield from _one_of(f"{path}.operator", operator, _OPERATORS)
    if codes.get("containerName") is not None and codes["containerName"] not in containers:
        text = "must be one of the container or initContainer names in the pod template"
        yield causes.invalid(f"{path}.containerName", codes["containerName"], text)
    if not values:
        yield causes.invalid(f"{path}.values", values, "at least one value is required")
        return
    if len(values) > _MOST_VALUES:
        yield causes.too_many(f"{path}.values", len(values), _MOST_VALUES)
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            yield causes.invalid(f"{path}.values[{index}]", value, "must not be 0 for the In operator")
        if value in values[:index]:
            yield causes.duplicate(f"{path}.values[{index}]", value)
    if values != sorted(values):
        yield causes.invalid(f"{path}.values", values, "must be ordered")


def _success_policy(spec: Object, policy: Object) -> Iterator[Cause]:
    at, rules = "spec.successPolicy.rules", policy.get("rules") or []
    if spec["completionMode"] != "Indexed":
        shown = [
            {"SucceededIndexes": it.get("succeededIndexes"), "SucceededCount": it.get("succeededCount")} for it in rules
        ]
        shown_policy = causes.go_struct({"Rules": shown or None})
        yield causes.invalid("spec.successPolicy", shown_policy, "requires indexed completion mode")
        return
    if not rules:
        yield causes.required(at, "at least one rules must be specified when the successPolicy is specified")
    if len(rules) > _MOST_RULES:
        yield causes.too_many(at, len(rules), _MOST_RULES)
    for index, rule in enumerate(rules):
        yield from _success_rule(rule, f"{at}[{index}]", spec.get("completions") or 0)


def _success_rule(rule: Object, path: str, completions: int) -> Iterator[Cause]:
    count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
    if count is None and indexes is None:
        yield causes.required(path, "at least one of succeededCount or succeededIndexes must be specified")
    named = 0
    if indexes is not None:
        try:
            named = _indexes(indexes, completions)
        except ValueError as wrong:
            text = f"error parsing succeededIndexes: {wrong}"
            yield causes.invalid(f"{path}.succeededIndexes", indexes, text)
    if count is None:
        return
    at = f"{path}.succeededCount"
    if count < 0:
        yield causes.invalid(at, count, podspecs.NON_NEGATIVE)
    if count > completions:
        text = f"must be less than or equal to {completions} (the number of specified completions)"
        yield causes.invalid(at, count, text)
    if indexes is not None and count > named:
        text = f"must be less than or equal to {named} (the number of indexes in the specified succeededIndexes field)"
        yield causes.invalid(at, count, text)


def _indexes(text: str, completions: int) -> int:
    """How many indexes `1,3-5` names; ValueError says what is wrong with it."""
    last, total = -1, 0
    for part in text.split(",") if text else ():
        ends = part.split("-")
        if len(ends) > 2:
            raise ValueError(
                f"the fragment {causes.quote(part)} violates the requirement that an index interval can have at most "
                "two parts separated by '-'"
            )
        first, *rest = (_index(end, completions) for end in ends)
        if rest and first >= rest[0]:
            raise ValueError(f"non-increasing order, previous: {first}, current: {rest[0]}")
        if last >= first:
            raise ValueError(f"non-increasing order, previous: {last}, current: {first}")
        last = rest[0] if rest else first
        total += last - first + 1
    return total


def _index(text: str, completions: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError(f"cannot convert string to integer for index: {causes.quote(text)}")
    if int(text) >= completions:
        raise ValueError(f"too large index: {causes.quote(text)}")
    return int(text)
