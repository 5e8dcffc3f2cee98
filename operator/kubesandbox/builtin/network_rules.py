"""What may be wrong with Services, Ingresses and NetworkPolicies (kubernetes pkg/apis/{core,networking}/validation)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from kubesandbox import names
from kubesandbox.builtin.containers import PORT_RANGE, PROTOCOLS, port_name
from kubesandbox.builtin.label_selectors import validate_selector
from kubesandbox.builtin.placement import ADDRESS, is_address
from kubesandbox.objects import Json, Object, dig
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause

CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_TRAFFIC = ["Cluster", "Local"]
_LINK_LOCAL_MULTICAST = (ipaddress.ip_network("224.0.0.0/24"), ipaddress.ip_network("ff02::/16"))
_ONLY_BALANCED = "may only be used when `type` is 'LoadBalancer'"


def endpoint_address(text: str, path: str) -> Iterator[Cause]:
    """What is wrong with an endpoint's IP address: it must lead to a pod, wherever it is used (ValidateEndpointIP)."""
    if not is_address(text):
        yield causes.invalid(path, text, ADDRESS)
        return
    address = ipaddress.ip_address(text)
    if address.is_unspecified:
        yield causes.invalid(path, text, f"may not be unspecified ({text})")
    elif address.is_loopback:
        yield causes.invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    elif address.is_link_local:
        yield causes.invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    elif any(address in network for network in _LINK_LOCAL_MULTICAST if address.version == network.version):
        yield causes.invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def validate_service(spec: Object, doubled: list[Cause]) -> Iterator[Cause]:
    """What is wrong with a Service, its ports' names and numbers aside; `doubled` are ports that are there twice."""
    kind, outside = spec["type"], spec["type"] in {"NodePort", "LoadBalancer"}
    if outside and spec.get("clusterIP") == "None":
        yield causes.invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    if kind == "ExternalName" and spec.get("externalName"):
        name = spec["externalName"].removesuffix(".")
        yield from (causes.invalid("spec.externalName", name, text) for text in names.subdomain(name))
    yield from _node_ports(spec)
    yield from doubled
    yield from _affinity(spec)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        if not is_address(address):
            yield causes.invalid(f"spec.externalIPs[{index}]", address, ADDRESS)
    yield from _balanced(spec)
    yield from _traffic(spec, outside=outside or (kind == "ClusterIP" and bool(spec.get("externalIPs"))))
    yield from _families(spec)
    address = spec.get("clusterIP")
    if address and address != "None" and not is_address(address):
        yield causes.invalid("spec.clusterIPs[0]", address, ADDRESS)


_GO_NAMES = {"loadBalancerSourceRanges": "LoadBalancerSourceRanges"}


def _balanced(spec: Object) -> Iterator[Cause]:
    """What only load balancers have; the field of source ranges is told by its Go name."""
    if spec["type"] != "LoadBalancer":
        for key in ("loadBalancerSourceRanges", "allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if spec.get(key) is not None:
                yield causes.forbidden(f"spec.{_GO_NAMES.get(key, key)}", _ONLY_BALANCED)
        return
    for index, text in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        if _network(text.strip()) is None:
            yield causes.invalid(f"spec.LoadBalancerSourceRanges[{index}]", text.strip(), CIDR)
    name = spec.get("loadBalancerClass")
    if name is not None:
        yield from (causes.invalid("spec.loadBalancerClass", name, text) for text in names.label_key(name))


def _node_ports(spec: Object) -> Iterator[Cause]:
    seen: set[tuple[str, int]] = set()
    for index, port in enumerate(spec.get("ports") or ()):
        at, number = f"spec.ports[{index}]", port.get("nodePort")
        if port.get("appProtocol") is not None:
            wrong = names.label_key(port["appProtocol"])
            yield from (causes.invalid(f"{at}.appProtocol", port["appProtocol"], text) for text in wrong)
        if not number:
            continue
        if spec["type"] == "ClusterIP":
            yield causes.forbidden(f"{at}.nodePort", "may not be used when `type` is 'ClusterIP'")
        if (port["protocol"], number) in seen:
            yield causes.duplicate(f"{at}.nodePort", number)
        seen.add((port["protocol"], number))


def _affinity(spec: Object) -> Iterator[Cause]:
    if spec["sessionAffinity"] == "ClientIP":
        seconds = dig(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds") or 0
        if not 0 < seconds <= 86400:
            at = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
            yield causes.invalid(at, seconds, "must be greater than 0 and less than 86400")
    elif spec["sessionAffinity"] == "None" and spec.get("sessionAffinityConfig") is not None:
        yield causes.forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None")


def _traffic(spec: Object, *, outside: bool) -> Iterator[Cause]:
    policy, within = spec.get("externalTrafficPolicy"), spec.get("internalTrafficPolicy")
    if policy and not outside:
        yield causes.invalid("spec.externalTrafficPolicy", policy, "may only be set for externally-accessible services")
    elif policy and policy not in _TRAFFIC:
        yield causes.not_supported("spec.externalTrafficPolicy", policy, _TRAFFIC)
    if within is not None and within not in _TRAFFIC:
        yield causes.not_supported("spec.internalTrafficPolicy", within, _TRAFFIC)
    if spec.get("healthCheckNodePort") and not (spec["type"] == "LoadBalancer" and policy == "Local"):
        text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield causes.invalid("spec.healthCheckNodePort", spec["healthCheckNodePort"], text)
    port = spec.get("healthCheckNodePort")
    if port and not 0 < port < 65536:
        yield causes.invalid("spec.healthCheckNodePort", port, PORT_RANGE)
    near = spec.get("trafficDistribution")
    if near is not None and near not in (supported := ["PreferClose", "PreferSameZone", "PreferSameNode"]):
        yield causes.not_supported("spec.trafficDistribution", near, supported)


def _families(spec: Object) -> Iterator[Cause]:
    for index, address in enumerate((spec.get("clusterIPs") or [])[1:], 1):
        if not is_address(address):
            yield causes.invalid(f"spec.clusterIPs[{index}]", address, ADDRESS)
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        if family not in {"IPv4", "IPv6"}:
            yield causes.not_supported(f"spec.ipFamilies[{index}]", family, ["IPv4", "IPv6"])
        elif family == "IPv6":
            yield causes.invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
    policy, known = spec.get("ipFamilyPolicy"), ["PreferDualStack", "RequireDualStack", "SingleStack"]
    if policy is not None and policy not in known:
        yield causes.not_supported("spec.ipFamilyPolicy", policy, known)
    elif policy == "RequireDualStack":
        text = "this cluster is not configured for dual-stack services"
        yield causes.invalid("spec.ipFamilyPolicy", policy, text)


def validate_host(host: str, path: str) -> list[Cause]:
    """What is wrong with a host of an Ingress."""
    if is_address(host):
        return [causes.invalid(path, host, "must be a DNS name, not an IP address")]
    rule = names.wildcard if "*" in host else names.subdomain
    return [causes.invalid(path, host, text) for text in rule(host)]


def validate_tls(entries: list[Object]) -> Iterator[Cause]:
    """What is wrong with an Ingress's `tls`."""
    for index, entry in enumerate(entries):
        at, secret = f"spec.tls[{index}]", entry.get("secretName") or ""
        for number, host in enumerate(entry.get("hosts") or ()):
            rule = names.wildcard if "*" in host else names.subdomain
            yield from (causes.invalid(f"{at}.hosts[{number}]", host, text) for text in rule(host))
        if secret:
            yield from (causes.invalid(f"{at}.secretName", secret, text) for text in names.subdomain(secret))


def validate_rules(spec: Object) -> Iterator[Cause]:
    """What is wrong with a NetworkPolicy's rules."""
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            at = f"spec.{direction}[{index}]"
            for number, port in enumerate(rule.get("ports") or ()):
                yield from _policy_port(port, f"{at}.ports[{number}]")
            for number, peer in enumerate(rule.get(peers) or ()):
                yield from _peer(peer, f"{at}.{peers}[{number}]")
    kinds = spec.get("policyTypes") or []
    if len(kinds) > 2:
        yield causes.invalid("spec.policyTypes", kinds, "may not specify more than two policyTypes")


def _policy_port(port: Object, path: str) -> Iterator[Cause]:
    protocol, number, end = port.get("protocol"), port.get("port"), port.get("endPort")
    if protocol not in PROTOCOLS:
        yield causes.not_supported(f"{path}.protocol", protocol, ["TCP", "UDP", "SCTP"])
    if isinstance(number, str):
        if end is not None:
            yield causes.invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric")
        yield from (causes.invalid(f"{path}.port", number, text) for text in port_name(number))
        return
    if number is not None and not 0 < number < 65536:
        yield causes.invalid(f"{path}.port", number, PORT_RANGE)
    if end is None:
        return
    if number is None:
        yield causes.invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified")
        return
    if end < number:  # the port is what Go shows
        yield causes.invalid(f"{path}.endPort", number, "must be greater than or equal to `port`")
    if not 0 < end < 65536:
        yield causes.invalid(f"{path}.endPort", end, PORT_RANGE)


def _peer(peer: Object, path: str) -> Iterator[Cause]:
    selected = [key for key in ("podSelector", "namespaceSelector") if peer.get(key) is not None]
    for key in selected:
        yield from validate_selector(peer[key], f"{path}.{key}")
    block = peer.get("ipBlock")
    if block is not None:
        yield from _block(block, f"{path}.ipBlock")
        if selected:
            yield causes.forbidden(path, "may not specify both ipBlock and another peer")
    elif not selected:
        yield causes.required(path, "must specify a peer")


def _network(text: Json) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(str(text), strict=False) if "/" in str(text) else None
    except ValueError:
        return None


def _block(block: Object, path: str) -> Iterator[Cause]:
    cidr = block.get("cidr") or ""
    if not cidr:
        yield causes.required(f"{path}.cidr")
        return
    whole = _network(cidr)
    if whole is None:
        yield causes.invalid(f"{path}.cidr", cidr, CIDR)
        return
    for index, text in enumerate(block.get("except") or ()):
        part, at = _network(text), f"{path}.except[{index}]"
        if part is None:
            yield causes.invalid(at, text, CIDR)
        elif part.version != whole.version or part == whole or part.network_address not in whole:
            yield causes.invalid(at, text, "must be a strict subset of `cidr`")
