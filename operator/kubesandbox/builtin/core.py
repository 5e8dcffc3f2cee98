"""Kinds of the core group and its neighbours that only hold data."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import replace

from kubesandbox import bodies, errors, metadata, names
from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.metadata import IMMUTABLE, now
from kubesandbox.objects import Object, child, dig
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause
from kubesandbox.strategy import Request

MAX_DATA = 1024 * 1024


class NamespaceStrategy(BuiltinStrategy):
    """Namespaces: deleted by the namespace controller once they are empty."""

    checks_whole = "core"
    has_status = True
    name_rule = staticmethod(names.label)
    selectable = frozenset({"status.phase", "name"})

    def prepare_create(self, obj: Object, request: Request) -> None:
        labels = child(obj["metadata"], "labels")
        labels["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")
        finalizers = child(obj, "spec").setdefault("finalizers", [])
        if "kubernetes" not in finalizers:
            finalizers.append("kubernetes")
        obj["status"] = {"phase": "Active"}

    def prepare_update(self, obj: Object, old: Object, request: Request) -> None:
        child(obj["metadata"], "labels")["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
        obj["spec"] = old["spec"]

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        found: list[Cause] = []
        for name in dig(obj, "spec", "finalizers") or ():
            found += [causes.invalid("spec.finalizers", name, text) for text in names.label_key(name)]
            found += [replace(cause, field="spec.finalizers") for cause in metadata.unqualified([name])]
        return found

    def validate_status(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        phase = dig(obj, "status", "phase") or ""
        wanted, when = (
            ("Terminating", "is not empty") if obj["metadata"].get("deletionTimestamp") else ("Active", "is empty")
        )
        if phase == wanted:
            return []
        return [causes.invalid("status.Phase", phase, f"may only be '{wanted}' if `deletionTimestamp` {when}")]

    def check_delete(self, obj: Object, request: Request) -> None:
        name = obj["metadata"]["name"]
        if name in {"default", "kube-system", "kube-public"}:
            raise errors.forbidden("", "namespaces", name, "this namespace may not be deleted")

    def begin_delete(self, obj: Object, grace: int | None, request: Request) -> bool:
        if not dig(obj, "spec", "finalizers"):
            return False
        if "deletionTimestamp" not in obj["metadata"]:
            obj["metadata"]["deletionTimestamp"] = now()
        child(obj, "status")["phase"] = "Terminating"
        return True

    def fields(self, obj: Object) -> Mapping[str, str]:
        return {"status.phase": dig(obj, "status", "phase") or "", "name": obj["metadata"]["name"]}


class ConfigMapStrategy(BuiltinStrategy):
    """ConfigMaps."""

    checks_whole = "core"

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        found: list[Cause] = []
        size = 0
        for field in ("data", "binaryData"):
            for key, value in (obj.get(field) or {}).items():
                found += [causes.invalid(f"{field}[{key}]", key, text) for text in names.config_key(key)]
                size += len(value.encode()) if field == "data" else len(value) * 3 // 4
                if field == "binaryData" and key in (obj.get("data") or {}):
                    found.append(causes.invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        if size > MAX_DATA:
            found.append(causes.too_long("", MAX_DATA))
        return found

    def validate_update(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        found: list[Cause] = []
        if old.get("immutable"):
            text = "field is immutable when `immutable` is set"
            found += [
                causes.forbidden(key, text)
                for key in ("immutable", "data", "binaryData")
                if obj.get(key) != old.get(key)
            ]
        return found + self.validate(obj, request)


_REQUIRED_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - a Secret's type
_ACCOUNT = "kubernetes.io/service-account.name"


class SecretStrategy(BuiltinStrategy):
    """Secrets: `stringData` becomes data, data is base64, `type` never changes."""

    checks_whole = "core"
    selectable = frozenset({"type"})

    def default(self, obj: Object) -> None:
        written = obj.pop("stringData", None)
        if written:
            child(obj, "data").update(
                {key: base64.b64encode(value.encode()).decode() for key, value in written.items()}
            )
        obj.setdefault("type", "Opaque")

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        data = obj.get("data") or {}
        found = [causes.invalid(f"data[{key}]", key, text) for key in data for text in names.config_key(key)]
        if sum(len(value) * 3 // 4 for value in data.values()) > MAX_DATA:
            found.append(causes.too_long("data", MAX_DATA))
        found += [causes.required(f"data[{key}]") for key in _REQUIRED_KEYS.get(obj["type"], ()) if key not in data]
        found += _docker(obj["type"], data)
        if obj["type"] == ACCOUNT_TOKEN and not dig(obj, "metadata", "annotations", _ACCOUNT):
            found.append(causes.required(f"metadata.annotations[{_ACCOUNT}]"))
        if obj["type"] == "kubernetes.io/basic-auth" and not {"username", "password"} & data.keys():
            found += [causes.required("data[username]"), causes.required("data[password]")]
        return found

    def created(self, obj: Object, request: Request) -> None:
        if obj["type"] == ACCOUNT_TOKEN:
            _fill_token(obj, request)

    def validate_update(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        found: list[Cause] = []
        if obj.get("type") != old.get("type"):
            found.append(causes.invalid("type", obj.get("type"), IMMUTABLE))
        if old.get("immutable"):
            text = "field is immutable when `immutable` is set"
            found += [causes.forbidden(k, text) for k in ("immutable", "data") if obj.get(k) != old.get(k)]
        return found + self.validate(obj, request)

    def fields(self, obj: Object) -> Mapping[str, str]:
        return {"type": obj.get("type", "")}


def _docker(kind: str, data: Object) -> list[Cause]:
    """What is wrong with credentials for registries, without showing them."""
    key = _REQUIRED_KEYS.get(kind, ("",))[0]
    if key not in data or not key.startswith(".docker"):
        return []
    wrong = bodies.json_error(base64.b64decode(data[key]))
    return [causes.invalid(f"data[{key}]", "<secret contents redacted>", wrong)] if wrong else []


def _fill_token(secret: Object, request: Request) -> None:
    """The token controller: a token Secret gets its account's token, and is dropped where there is no account."""
    store, meta = request.cluster.store, secret["metadata"]
    account = store.table("", "serviceaccounts").get(meta["namespace"], meta["annotations"][_ACCOUNT])
    if account is None:
        store.table("", "secrets").remove(meta["namespace"], meta["name"])
        return
    token = request.cluster.tokens.legacy(account.object, meta["name"])
    found = {"token": token.encode(), "namespace": meta["namespace"].encode(), "ca.crt": request.cluster.authority}
    data = {**(secret.get("data") or {}), **{k: base64.b64encode(v).decode() for k, v in found.items()}}
    annotations = {**meta["annotations"], "kubernetes.io/service-account.uid": account.object["metadata"]["uid"]}
    store.table("", "secrets").put({**secret, "metadata": {**meta, "annotations": annotations}, "data": data})


class ServiceAccountStrategy(BuiltinStrategy):
    """ServiceAccounts."""

    checks_whole = "core"
    returns_deleted = True


class EventStrategy(BuiltinStrategy):
    """Events."""

    checks_change = ""
    creates_on_update = True
    selectable = frozenset(
        {
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        }
    )

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        about = dig(obj, "involvedObject", "namespace") or ""
        namespace = obj["metadata"].get("namespace", "")
        if about != namespace and not (not about and namespace == "default"):
            return [causes.invalid("involvedObject.namespace", about, "does not match event.namespace")]
        if obj.get("eventTime"):  # then it is held to what the newer group asks for (legacyValidateEvent)
            needed = ("reportingComponent", "reportingInstance", "action", "reason")
            component = obj.get("reportingComponent") or ""
            found = [causes.required(key) for key in needed if not obj.get(key)]
            return found + [causes.invalid("reportingComponent", component, t) for t in names.label_key(component)]
        return []

    def fields(self, obj: Object) -> Mapping[str, str]:
        found = {f"involvedObject.{key}": str(value) for key, value in (obj.get("involvedObject") or {}).items()}
        source = dig(obj, "source", "component") or obj.get("reportingComponent") or ""
        return found | {
            "reason": obj.get("reason", ""),
            "reportingComponent": obj.get("reportingComponent", ""),
            "source": source,
            "type": obj.get("type", ""),
        }


_EVENT_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
_CORE_NAMES = {new: old for old, new in _EVENT_NAMES.items()}


def to_new_event(obj: Object) -> Object:
    """A core Event as events.k8s.io names its fields."""
    omitted = {"reportingComponent", "reportingInstance"}  # where they are empty
    body = {_EVENT_NAMES.get(key, key): value for key, value in obj.items() if value or key not in omitted}
    return {**body, "apiVersion": "events.k8s.io/v1"}


def to_core_event(obj: Object) -> Object:
    """An events.k8s.io Event as the core group names its fields."""
    body = {_CORE_NAMES.get(key, key): value for key, value in obj.items()}
    made = {**body, "apiVersion": "v1"}
    made.setdefault("involvedObject", {})
    made.setdefault("source", {})
    for key in ("firstTimestamp", "lastTimestamp", "eventTime"):
        made.setdefault(key, None)
    return made


class NewEventStrategy(EventStrategy):
    """Events of events.k8s.io."""

    checks_change = "core"
    selectable = EventStrategy.selectable | {
        field.replace("involvedObject", "regarding") for field in EventStrategy.selectable
    }

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        kind = obj.get("type") or ""
        found = [] if kind in {"Normal", "Warning"} else [causes.invalid("type", kind, f"has invalid value: {kind}")]
        if not obj.get("eventTime"):
            return [causes.required("eventTime"), *found]
        needed = ("action", "reason", "reportingController", "reportingInstance")
        return found + [causes.required(key) for key in needed if not obj.get(key)]

    def fields(self, obj: Object) -> Mapping[str, str]:
        found = super().fields(obj)
        return {**found, **{key.replace("involvedObject", "regarding"): value for key, value in found.items()}}


class LeaseStrategy(BuiltinStrategy):
    """Leases."""

    checks_change = "plain"
    unconditional_update = False
    creates_on_update = True

    def default(self, obj: Object) -> None:
        for key in ("strategy", "preferredHolder"):  # of CoordinatedLeaderElection, a feature that is off
            (obj.get("spec") or {}).pop(key, None)

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        spec = obj.get("spec") or {}
        found: list[Cause] = []
        duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
        if duration is not None and duration <= 0:
            found.append(causes.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"))
        if transitions is not None and transitions < 0:
            found.append(causes.invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
        return found


class NodeStrategy(BuiltinStrategy):
    """Nodes."""

    checks_whole = "core"
    has_status = True
    selectable = frozenset({"spec.unschedulable"})

    def prepare_create(self, obj: Object, request: Request) -> None:
        """A node registers itself together with its status."""
        (obj.get("spec") or {}).pop("configSource", None)
        status = {**(self.zero_status() or {}), **(obj.get("status") or {})}
        if status.get("capacity") and not status.get("allocatable"):
            status["allocatable"] = dict(status["capacity"])
        obj["status"] = status

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        return list(_taints(dig(obj, "spec", "taints") or []))

    def fields(self, obj: Object) -> Mapping[str, str]:
        return {"spec.unschedulable": "true" if dig(obj, "spec", "unschedulable") else "false"}


_EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"]


def _taints(taints: list[Object]) -> Iterator[Cause]:
    """What is wrong with a node's taints, which are told as metadata's (validateNodeTaints)."""
    for index, taint in enumerate(taints):
        at, key, effect = f"metadata.taints[{index}]", taint.get("key") or "", taint.get("effect") or ""
        yield from (causes.invalid(f"{at}.key", key, text) for text in names.label_key(key))
        value = taint.get("value") or ""
        wrong = names.label_value(value)
        if wrong:
            yield causes.invalid(f"{at}.value", value, ";".join(wrong))
        if not effect:
            yield causes.required(f"{at}.effect")
        elif effect not in _EFFECTS:
            yield causes.not_supported(f"{at}.effect", effect, _EFFECTS)
        if any((it.get("key"), it.get("effect")) == (taint.get("key"), taint.get("effect")) for it in taints[:index]):
            shown = {"Key": key, "Value": value, "Effect": effect, "TimeAdded": taint.get("timeAdded")}
            twice = causes.duplicate(at, causes.go_struct(shown))
            yield replace(twice, message=f"{twice.message}: taints must be unique by key and effect pair")
