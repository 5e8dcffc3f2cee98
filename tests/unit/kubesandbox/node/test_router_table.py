"""Which Service and which endpoints a request gets."""

from __future__ import annotations

import pytest

from kubesandbox.client import Object
from kubesandbox.node.addresses import Addresses, local
from kubesandbox.node.router.table import Backend, addresses, rules, service_host, split_host


def ingress(name: str, *paths: tuple[str, str, str], host: str | None = None, default: str | None = None) -> Object:
    listed = [
        {"path": path, "pathType": kind, "backend": {"service": {"name": service, "port": {"number": 80}}}}
        for path, kind, service in paths
    ]
    spec: Object = {"rules": [{"http": {"paths": listed}, **({"host": host} if host else {})}]} if listed else {}
    if default:
        spec["defaultBackend"] = {"service": {"name": default, "port": {"name": "http"}}}
    return {"metadata": {"name": name, "namespace": "ns", "creationTimestamp": "2026"}, "spec": spec}


TABLE = rules(
    [
        ingress("a", ("/", "Prefix", "root"), ("/foo", "Prefix", "foo"), ("/foo", "Exact", "exact")),
        ingress("b", ("/foo/bar/", "Prefix", "bar"), default="rest"),
        ingress("c", ("/", "ImplementationSpecific", "named"), host="a.example.com"),
        ingress("d", ("/x", "Prefix", "wild"), host="*.example.com"),
    ]
)


@pytest.mark.parametrize(
    ("host", "path", "service"),
    [
        ("h", "/", "root"),
        ("h", "/foo", "exact"),
        ("h", "/foo/", "foo"),
        ("h", "/foobar", "root"),
        ("h", "/foo/bar", "bar"),
        ("h", "/foo/bar/baz", "bar"),
        ("a.example.com", "/foo", "named"),
        ("b.example.com", "/x/y", "wild"),
        ("b.example.com", "/y", "root"),
        ("x.b.example.com", "/x", "root"),
        ("example.com", "/x", "root"),
    ],
)
def test_the_most_specific_rule_wins(host: str, path: str, service: str) -> None:
    assert next(rule.backend.service for rule in TABLE if rule.fits(host, path)) == service


def test_a_default_backend_takes_what_no_rule_does() -> None:
    only = rules([ingress("b", ("/x", "Prefix", "x"), default="rest")])
    assert next(rule.backend for rule in only if rule.fits("h", "/y")) == Backend("ns", "rest", "http")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("web.shop.svc", Backend("shop", "web", "80")),
        ("Web.shop.svc.cluster.local:8080", Backend("shop", "web", "8080")),
        ("web.shop", None),
        ("web.shop.svc.evil.com", None),
        ("127.0.0.1:80", None),
    ],
)
def test_service_names_are_read_from_the_host(header: str, expected: Backend | None) -> None:
    assert service_host(*split_host(header)) == expected


def endpoint(address: str, *, ready: bool = True, serving: bool = True, terminating: bool = False) -> Object:
    conditions = {"ready": ready, "serving": serving, "terminating": terminating}
    return {"addresses": [address], "conditions": conditions, "nodeName": "n"}


def test_ready_endpoints_serve_and_ending_ones_only_when_there_is_no_other() -> None:
    service = {"spec": {"ports": [{"name": "http", "port": 80}, {"name": "metrics", "port": 9090}]}}
    ending = endpoint("10.0.0.2", ready=False, terminating=True)
    broken = endpoint("10.0.0.3", ready=False, serving=False)
    held = {"ports": [{"name": "http", "port": 8080}], "endpoints": [endpoint("10.0.0.1"), ending, broken]}
    by_name, by_number = Backend("ns", "web", "http"), Backend("ns", "web", "80")
    assert addresses(by_name, service, [held]) == addresses(by_number, service, [held]) == [("10.0.0.1", 8080, "n")]
    alone = {**held, "endpoints": [ending, broken]}
    assert addresses(by_name, service, [alone]) == [("10.0.0.2", 8080, "n")]
    assert addresses(Backend("ns", "web", "metrics"), service, [held]) == []
    assert addresses(Backend("ns", "web", "grpc"), service, [held]) == []


def test_two_nodes_of_one_machine_never_share_pod_addresses() -> None:
    one, other = Addresses(), Addresses()
    try:
        assert one.cidr != other.cidr
        first, second = one.take(), one.take()
        assert first != second
        one.give_back(first)
        assert one.take() not in {first, second}
        assert local(first).startswith("127.")
        with pytest.raises(ValueError, match="not a pod address"):
            local("192.168.0.1")
    finally:
        one.close()
        other.close()
