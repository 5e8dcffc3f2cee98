"""Columns of what leads to pods (kubernetes pkg/printers/internalversion/printers.go)."""

from __future__ import annotations

from kubesandbox.builtin.columns import NONE, labels_text, path
from kubesandbox.objects import Object, dig
from kubesandbox.selectors import format_selector
from kubesandbox.tables import AGE, NAME, Cell, Column, Columns


def _external(obj: Object) -> Cell:
    spec = obj["spec"]
    ips = list(spec.get("externalIPs") or ())
    match spec.get("type"):
        case "ExternalName":
            return spec.get("externalName", "")
        case "LoadBalancer":
            found = [
                i.get("ip") or i.get("hostname") or "" for i in dig(obj, "status", "loadBalancer", "ingress") or ()
            ]
            return ",".join([*found, *ips]) or "<pending>"
        case _:
            return ",".join(ips) or NONE


def _service_ports(obj: Object) -> Cell:
    def one(port: Object) -> str:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        return f"{port['port']}{node}/{port['protocol']}"

    return ",".join(one(port) for port in obj["spec"].get("ports") or ()) or NONE


SERVICE: Columns = (
    NAME,
    path("Type", "spec", "type"),
    path("Cluster-IP", "spec", "clusterIP", default=NONE),
    Column("External-IP", _external),
    Column("Port(s)", _service_ports),
    AGE,
    Column("Selector", lambda obj: labels_text(obj["spec"].get("selector")), priority=1),
)


def _hosts(obj: Object) -> Cell:
    hosts = [rule["host"] for rule in dig(obj, "spec", "rules") or () if rule.get("host")]
    if not hosts:
        return "*"
    return ",".join(hosts[:3]) + (f" + {len(hosts) - 3} more..." if len(hosts) > 3 else "")


def _ingress_addresses(obj: Object) -> Cell:
    found = [i.get("ip") or i.get("hostname") or "" for i in dig(obj, "status", "loadBalancer", "ingress") or ()]
    return ",".join(found)


INGRESS: Columns = (
    NAME,
    path("Class", "spec", "ingressClassName", default=NONE),
    Column("Hosts", _hosts),
    Column("Address", _ingress_addresses),
    Column("Ports", lambda obj: "80, 443" if dig(obj, "spec", "tls") else "80"),
    AGE,
)


POLICY: Columns = (
    NAME,
    Column("Pod-Selector", lambda obj: format_selector(dig(obj, "spec", "podSelector") or {})),
    AGE,
)


def endpoints_cell(obj: Object) -> Cell:
    """The first addresses of an Endpoints."""
    found = [
        f"{address.get('ip')}:{port.get('port')}"
        for subset in obj.get("subsets") or ()
        for port in subset.get("ports") or ()
        for address in subset.get("addresses") or ()
    ]
    if not found:
        return NONE
    return ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")


def _slice_list(values: list[str]) -> str:
    if not values:
        return "<unset>"
    return ",".join(values[:3]) + (f" + {len(values) - 3} more..." if len(values) > 3 else "")


def _slice_endpoints(obj: Object) -> Cell:
    found = [address for endpoint in obj.get("endpoints") or () for address in endpoint.get("addresses") or ()]
    return _slice_list(found)


SLICE: Columns = (
    NAME,
    path("AddressType", "addressType"),
    Column("Ports", lambda obj: _slice_list([str(p.get("port", "*")) for p in obj.get("ports") or ()])),
    Column("Endpoints", _slice_endpoints),
    AGE,
)
