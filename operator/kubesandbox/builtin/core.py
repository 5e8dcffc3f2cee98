"""Kinds of the core group and its neighbours that only hold data."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from kubesandbox import errors, names
from kubesandbox.metadata import now
from kubesandbox.objects import Object, child, dig
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause
from kubesandbox.strategy import Request, Strategy


class StatusStrategy(Strategy):
    """A kind with a status and no generation."""

    has_status = True


class NamespaceStrategy(Strategy):
    """Namespaces: deleted by the namespace controller once they are empty."""

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

    def begin_delete(self, obj: Object, grace: int | None, request: Request) -> bool:
        if not dig(obj, "spec", "finalizers"):
            return False
        if "deletionTimestamp" not in obj["metadata"]:
            obj["metadata"]["deletionTimestamp"] = now()
        child(obj, "status")["phase"] = "Terminating"
        return True

    def fields(self, obj: Object) -> Mapping[str, str]:
        return {"status.phase": dig(obj, "status", "phase") or "", "name": obj["metadata"]["name"]}


class ConfigMapStrategy(Strategy):
    """ConfigMaps."""

    def default(self, obj: Object) -> None:
        for key in ("data", "binaryData"):
            if not obj.get(key):
                obj.pop(key, None)

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        found: list[Cause] = []
        for field in ("data", "binaryData"):
            for key in obj.get(field) or {}:
                found += [causes.invalid(f"{field}[{key}]", key, text) for text in names.config_key(key)]
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


class SecretStrategy(ConfigMapStrategy):
    """Secrets: `stringData` becomes data, data is base64, `type` never changes."""

    selectable = frozenset({"type"})

    def decode(self, obj: Object, request: Request) -> list[str]:
        for value in (obj.get("data") or {}).values():
            try:
                base64.b64decode(value or "", validate=True)
            except (binascii.Error, ValueError, TypeError):
                at = next((i for i, c in enumerate(str(value)) if not (c.isalnum() or c in "+/=")), 0)
                raise errors.bad_request(
                    'Secret in version "v1" cannot be handled as a Secret: '
                    f"illegal base64 data at input byte {at}"
                ) from None
        return []

    def default(self, obj: Object) -> None:
        written = obj.pop("stringData", None)
        if written:
            child(obj, "data").update(
                {key: base64.b64encode(value.encode()).decode() for key, value in written.items()}
            )
        super().default(obj)
        obj.setdefault("type", "Opaque")

    def validate_update(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        found = super().validate_update(obj, old, request)
        if obj.get("type") != old.get("type"):
            found.insert(0, causes.invalid("type", obj.get("type"), "field is immutable"))
        return found

    def fields(self, obj: Object) -> Mapping[str, str]:
        return {"type": obj.get("type", "")}


class ServiceAccountStrategy(Strategy):
    """ServiceAccounts."""

    returns_deleted = True


class EventStrategy(Strategy):
    """Events."""

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

    def default(self, obj: Object) -> None:
        for key in ("firstTimestamp", "lastTimestamp", "eventTime"):
            obj.setdefault(key, None)
        obj.setdefault("source", {})
        obj.setdefault("reportingComponent", "")
        obj.setdefault("reportingInstance", "")

    def fields(self, obj: Object) -> Mapping[str, str]:
        found = {f"involvedObject.{key}": str(value) for key, value in (obj.get("involvedObject") or {}).items()}
        source = dig(obj, "source", "component") or obj.get("reportingComponent") or ""
        return found | {
            "reason": obj.get("reason", ""),
            "reportingComponent": obj.get("reportingComponent", ""),
            "source": source,
            "type": obj.get("type", ""),
        }


class EndpointsStrategy(Strategy):
    """Endpoints."""

    creates_on_update = True


class EndpointSliceStrategy(Strategy):
    """EndpointSlices."""

    counts_generations = True


class LeaseStrategy(Strategy):
    """Leases."""

    creates_on_update = True


class RbacStrategy(Strategy):
    """Roles and bindings."""

    creates_on_update = True
    name_rule = staticmethod(names.path_segment)


class NodeStrategy(StatusStrategy):
    """Nodes."""


class ServiceStrategy(StatusStrategy):
    """Services."""

    name_rule = staticmethod(names.dns1035)
    returns_deleted = True


class PodStrategy(StatusStrategy):
    """Pods."""

    returns_deleted = True
