"""Which node ports a request names, and which it is given."""

from __future__ import annotations

from typing import Any

import pytest

from kubesandbox.assembly import new_cluster
from kubesandbox.builtin import node_ports


def service(*ports: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "a", "namespace": "default"},
        "spec": {"type": "NodePort", "ports": list(ports), **spec},
    }


def given(made: dict[str, Any], *, dry_run: bool = False) -> list[int]:
    request = new_cluster().request("default")
    request.dry_run = dry_run
    node_ports.allocate(made, None, request)
    return [port["nodePort"] for port in made["spec"]["ports"]]


def test_a_port_in_two_protocols_is_one_port_of_the_node() -> None:
    both = given(service({"port": 80, "protocol": "TCP"}, {"port": 80, "protocol": "UDP"}, {"port": 81}))
    assert both[0] == both[1] != both[2]
    assert set(both) <= set(node_ports.RANGE)


def test_a_dry_run_is_given_ports_that_are_none() -> None:
    assert given(service({"port": 80}, {"port": 81}), dry_run=True) == [32769, 32770]


def test_a_balancer_that_stays_local_is_asked_for_its_health() -> None:
    made = service({"port": 80, "nodePort": 31000}, type="LoadBalancer", externalTrafficPolicy="Local")
    assert given(made) == [31000]
    assert made["spec"]["healthCheckNodePort"] in node_ports.RANGE


@pytest.mark.parametrize(("now", "kept"), [([{"name": "x"}], 31000), ([{"name": "y"}], None)])
def test_a_port_keeps_its_node_port_by_its_name(now: list[dict[str, Any]], kept: int | None) -> None:
    before = {"type": "NodePort", "ports": [{"name": "x", "nodePort": 31000}]}
    after = {"type": "NodePort", "ports": now}
    node_ports.keep(after, before)
    assert after["ports"][0].get("nodePort") == kept
