"""Evictions and their budgets, and HorizontalPodAutoscalers in their two versions."""

from __future__ import annotations

from tests.conformance.kubesandbox.http import Api


def running(ask: Api, space: str, name: str) -> str:
    """The path of a pod that runs on a node."""
    namespace = f"/api/v1/namespaces/{space}"
    ask("POST", f"{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
    body = {
        "metadata": {"name": name, "labels": {"app": "a"}},
        "spec": {"nodeName": "n", "containers": [{"name": "main", "image": "any"}]},
    }
    ask.good("POST", f"{namespace}/pods", body)
    path = f"{namespace}/pods/{name}"
    ask.merge(f"{path}/status", {"status": {"phase": "Running"}})
    return path


def test_an_eviction_spends_its_budget_and_is_refused_without_one(ask: Api, space: str) -> None:
    budgets = f"/apis/policy/v1/namespaces/{space}/poddisruptionbudgets"
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "a"}}}
    ask.good("POST", budgets, {"metadata": {"name": "b"}, "spec": spec})
    path, other = running(ask, space, "one"), running(ask, space, "two")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "one"}}
    reply = ask("POST", f"{path}/eviction", eviction)
    assert reply.status == 429
    assert reply.body["details"]["causes"][0]["message"] == (
        "The disruption budget b is still being processed by the server."
    )
    counted = {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1}
    ask.merge(f"{budgets}/b/status", {"status": {**counted, "expectedPods": 2}})
    assert ask("POST", f"{path}/eviction", eviction, dryRun="All").status == 201
    assert ask.good("GET", f"{budgets}/b")["status"]["disruptionsAllowed"] == 1
    assert ask("POST", f"{path}/eviction", eviction).status == 201
    assert "deletionTimestamp" in ask.good("GET", path)["metadata"]
    status = ask.good("GET", f"{budgets}/b")["status"]
    assert (status["disruptionsAllowed"], list(status["disruptedPods"])) == (0, ["one"])
    reply = ask("POST", f"{other}/eviction", {**eviction, "metadata": {"name": "two"}})
    assert (reply.status, reply.body["reason"]) == (429, "TooManyRequests")
    assert reply.body["message"] == "Cannot evict pod as it would violate the pod's disruption budget."


def test_an_autoscaler_is_one_in_both_versions(ask: Api, space: str) -> None:
    old, new = (f"/apis/autoscaling/{v}/namespaces/{space}/horizontalpodautoscalers" for v in ("v1", "v2"))
    target = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
    ask.good("POST", old, {"metadata": {"name": "h"}, "spec": {"maxReplicas": 3, "scaleTargetRef": target}})
    assert ask.good("GET", f"{old}/h")["spec"]["targetCPUUtilizationPercentage"] == 80
    memory = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue"}}}
    memory["resource"]["target"]["averageValue"] = "1Gi"
    spec = ask.good("GET", f"{new}/h")["spec"]
    assert [m["resource"]["name"] for m in spec["metrics"]] == ["cpu"]
    ask.merge(f"{new}/h", {"spec": {"metrics": [memory, *spec["metrics"]]}})
    ask.merge(f"{old}/h", {"spec": {"targetCPUUtilizationPercentage": 30}})
    metrics = ask.good("GET", f"{new}/h")["spec"]["metrics"]
    assert metrics[0] == memory
    assert metrics[1]["resource"]["target"]["averageUtilization"] == 30


def test_a_namespace_can_be_described_without_quotas(ask: Api, space: str) -> None:
    # `kubectl describe namespace` says that there is none of what it finds no object of.
    assert ask.good("GET", f"/api/v1/namespaces/{space}/resourcequotas")["items"] == []
    assert ask("POST", f"/api/v1/namespaces/{space}/resourcequotas", {"metadata": {"name": "q"}}).status == 501
