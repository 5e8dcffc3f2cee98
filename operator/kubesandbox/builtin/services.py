"""Services: defaults, validation, cluster IPs and node ports."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kubesandbox import errors, metadata, names
from kubesandbox.builtin import network_rules, node_ports, podspecs
from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.objects import Object, child, dig
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause
from kubesandbox.strategy import Request

if TYPE_CHECKING:
    from kubesandbox.cluster import Cluster

SERVICE_TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
SERVICE_RANGE = ipaddress.ip_network("10.96.0.0/12")


class ServiceStrategy(BuiltinStrategy):
    """Services."""

    creates_on_update = True
    has_status = True
    name_rule = staticmethod(names.label)  # RelaxedServiceNameValidation
    returns_deleted = True
    selectable = frozenset({"spec.clusterIP", "spec.type"})

    def default(self, obj: Object) -> None:
        spec = child(obj, "spec")
        spec.setdefault("sessionAffinity", "None")
        if spec["sessionAffinity"] == "None":
            spec.pop("sessionAffinityConfig", None)
        if spec["sessionAffinity"] == "ClientIP":
            child(spec, "sessionAffinityConfig", "clientIP").setdefault("timeoutSeconds", 10800)
        spec.setdefault("type", "ClusterIP")
        for port in spec.get("ports") or ():
            port.setdefault("protocol", "TCP")
            if port.get("targetPort") in (None, 0, ""):
                port["targetPort"] = port.get("port")
        if _accessible(spec):
            spec.setdefault("externalTrafficPolicy", "Cluster")
        if spec["type"] != "ExternalName":
            spec.setdefault("internalTrafficPolicy", "Cluster")
        if spec["type"] == "LoadBalancer":
            spec.setdefault("allocateLoadBalancerNodePorts", True)

    def prepare_create(self, obj: Object, request: Request) -> None:
        obj["status"] = {"loadBalancer": {}}

    def allocate(self, obj: Object, old: Object | None, request: Request) -> None:
        spec = obj["spec"]
        if spec["type"] == "ExternalName":
            return
        if spec.get("clusterIP"):
            _claim(spec, obj, old, request.cluster)
        else:
            kept = (old or {}).get("spec", {}).get("clusterIP")
            spec["clusterIP"] = kept or addresses(request.cluster).take()
        spec["clusterIPs"] = [spec["clusterIP"]]
        if spec["clusterIP"] == "None" and not spec.get("selector"):  # whose endpoints may be of any family
            spec.setdefault("ipFamilyPolicy", "RequireDualStack")
            spec.setdefault("ipFamilies", ["IPv4", "IPv6"])
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        if spec["type"] in {"NodePort", "LoadBalancer"}:
            node_ports.allocate(obj, old, request)

    def prepare_update(self, obj: Object, old: Object, request: Request) -> None:
        spec, before = obj["spec"], old["spec"]
        node_ports.keep(spec, before)
        _drop_unneeded(spec, before)
        if spec["type"] == "ExternalName":
            return
        if spec.get("clusterIP") != before.get("clusterIP") and spec.get("clusterIPs") == before.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]] if spec.get("clusterIP") else []
        for key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if not spec.get(key) and before.get(key):
                spec[key] = before[key]

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        spec = obj["spec"]
        found: list[Cause] = []
        if not spec.get("ports") and spec.get("clusterIP") != "None" and spec["type"] != "ExternalName":
            found.append(causes.required("spec.ports"))
        if spec["type"] not in SERVICE_TYPES:
            found.append(causes.not_supported("spec.type", spec["type"], SERVICE_TYPES))
        if spec["type"] == "ExternalName":
            if not spec.get("externalName"):
                found.append(causes.required("spec.externalName"))
            if spec.get("clusterIP"):
                text = "may not be set for ExternalName services"
                found.append(causes.forbidden("spec.clusterIPs", text))
        wrong, doubled = _service_ports(spec.get("ports") or [])
        found += wrong
        found += metadata.labels(spec.get("selector"), "spec.selector")
        if spec["sessionAffinity"] not in {"ClientIP", "None"}:
            found.append(causes.not_supported("spec.sessionAffinity", spec["sessionAffinity"], ["ClientIP", "None"]))
        if spec.get("clusterIPs") and not spec.get("clusterIP"):
            text = "must be empty when `clusterIP` is not specified"
            found.append(causes.invalid("spec.clusterIPs", spec["clusterIPs"], text))
        families = spec.get("ipFamilies") or []
        found += [
            causes.duplicate(f"spec.ipFamilies[{index}]", family)
            for index, family in enumerate(families)
            if family in families[:index]
        ]
        return found + list(network_rules.validate_service(spec, doubled))

    def validate_status(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        if obj["spec"]["type"] != "LoadBalancer" and dig(obj, "status", "loadBalancer", "ingress"):
            text = "may only be used when `spec.type` is 'LoadBalancer'"
            return [causes.forbidden("status.loadBalancer.ingress", text)]
        return []

    def validate_update(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        found: list[Cause] = []
        before, after = old["spec"].get("clusterIP"), obj["spec"].get("clusterIP")
        if before and before != after and obj["spec"]["type"] != "ExternalName":
            text = "may not change once set"
            found.append(causes.invalid("spec.clusterIPs[0]", obj["spec"].get("clusterIPs") or [after], text))
        old_class, new_class = (it["spec"].get("loadBalancerClass") for it in (old, obj))
        if {old["spec"]["type"], obj["spec"]["type"]} == {"LoadBalancer"} and old_class != new_class:
            found.append(causes.invalid("spec.loadBalancerClass", new_class, "may not change once set"))
        return found + self.validate(obj, request)

    def fields(self, obj: Object) -> Mapping[str, str]:
        return {"spec.clusterIP": obj["spec"].get("clusterIP", ""), "spec.type": obj["spec"].get("type", "")}


def _accessible(spec: Object) -> bool:
    """Whether a Service can be reached from outside the cluster."""
    return spec["type"] in {"NodePort", "LoadBalancer"} or (
        spec["type"] == "ClusterIP" and bool(spec.get("externalIPs"))
    )


def _drop_unneeded(spec: Object, before: Object) -> None:
    """What another type does not have and nobody changed goes with the type (dropTypeDependentFields)."""
    outside = {"NodePort", "LoadBalancer"}
    if spec["type"] not in outside and before["type"] in outside:
        ports = {port.get("nodePort") for port in before.get("ports") or ()}
        for port in spec.get("ports") or ():
            if port.get("nodePort") in ports:
                port.pop("nodePort", None)
    if _accessible(before) and not _accessible(spec):
        _drop_same(spec, before, "externalTrafficPolicy")
    if node_ports.checks_health(before) and not node_ports.checks_health(spec):
        _drop_same(spec, before, "healthCheckNodePort")
    if spec["type"] != "LoadBalancer" and before["type"] == "LoadBalancer":
        _drop_same(spec, before, "allocateLoadBalancerNodePorts", "loadBalancerClass")
    if spec["type"] == "ExternalName" and before["type"] != "ExternalName":
        _drop_same(spec, before, "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")


def _drop_same(spec: Object, before: Object, *keys: str) -> None:
    for key in keys:
        if spec.get(key) == before.get(key):
            spec.pop(key, None)


def _service_ports(ports: list[Object]) -> tuple[list[Cause], list[Cause]]:
    """What is wrong with each port; and which are there twice, which is told last."""
    found: list[Cause] = []
    doubled: list[Cause] = []
    seen_names: set[str] = set()
    seen: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        at, name, number = f"spec.ports[{index}]", port.get("name") or "", port.get("port") or 0
        if len(ports) > 1 and not name:
            found.append(causes.required(f"{at}.name"))
        elif name:
            found += [causes.invalid(f"{at}.name", name, text) for text in names.label(name)]
            if name in seen_names:
                found.append(causes.duplicate(f"{at}.name", name))
            seen_names.add(name)
        if not 0 < number < 65536:
            found.append(causes.invalid(f"{at}.port", number, podspecs.PORT_RANGE))
        if port["protocol"] not in podspecs.PROTOCOLS:
            found.append(causes.not_supported(f"{at}.protocol", port["protocol"], podspecs.PROTOCOLS))
        target = port.get("targetPort")
        if isinstance(target, int) and not 0 < target < 65536:
            found.append(causes.invalid(f"{at}.targetPort", target, podspecs.PORT_RANGE))
        elif isinstance(target, str):
            found += [causes.invalid(f"{at}.targetPort", target, text) for text in podspecs.port_name(target)]
        if (port["protocol"], number) in seen:
            shown = {"Name": "", "Protocol": port["protocol"], "AppProtocol": None, "Port": number}
            doubled.append(causes.duplicate(at, causes.go_struct({**shown, "TargetPort": 0, "NodePort": 0})))
        seen.add((port["protocol"], number))
    return found, doubled


class Addresses:
    """Service addresses out of 10.96.0.0/12, as kubeadm has it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._next = 10  # below are the static ones: 10.96.0.1 is `kubernetes`

    def take(self) -> str:
        """An address that no Service has."""
        used = {dig(v.object, "spec", "clusterIP") for v in self._cluster.store.table("", "services").scan()}
        for _ in range(1 << 16):
            self._next = self._next + 1 if self._next < (1 << 16) - 2 else 10
            address = f"10.96.{self._next >> 8}.{self._next & 255}"
            if address not in used:
                return address
        raise errors.internal_error("failed to allocate a serviceIP: range is full")


def addresses(cluster: Cluster) -> Addresses:
    """The cluster's allocator."""
    found = cluster.extensions.get(Addresses)
    if not isinstance(found, Addresses):
        found = cluster.extensions[Addresses] = Addresses(cluster)
    return found


def _claim(spec: Object, obj: Object, old: Object | None, cluster: Cluster) -> None:
    """Refuse an address that was asked for and is somebody's or out of range (the ipallocator's words)."""
    address = spec["clusterIP"]
    if address in {"None", dig(old, "spec", "clusterIP")}:
        return
    if ipaddress.ip_address(address) not in SERVICE_RANGE:
        why = f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {SERVICE_RANGE}"
    elif any(dig(v.object, "spec", "clusterIP") == address for v in cluster.store.table("", "services").scan()):
        why = "provided IP is already allocated"
    else:
        return
    cause = causes.invalid("spec.clusterIPs", [address], f"failed to allocate IP {address}: {why}")
    raise errors.invalid("", "Service", obj["metadata"]["name"], [cause])
