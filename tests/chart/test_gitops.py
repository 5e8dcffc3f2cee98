"""What the GitOps examples say of health, and what kustomize makes of the overlays."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from typing import Any

import cel
import lupa
import pytest
import yaml
from tests.chart.rendering import ROOT

from switchboard.api.reasons import ConditionType, ConnectorReason
from switchboard.kube.errors import Invalid
from switchboard.reconcile.conditions import Conditions
from switchboard.reconcile.outcome import Mend, Problem

GITOPS = ROOT / "examples" / "gitops"
KINDS = ("Agent", "TwilioConnector")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _object(problem: Problem | None, *, observed: int = 3) -> dict[str, Any]:
    """An object with the conditions that the operator writes for a problem, or for none."""
    conditions = Conditions([], 3, NOW)
    if problem is None:
        conditions.set(ConditionType.READY, "True", ConnectorReason.CONNECTED, "All is well.")
    else:
        conditions.set(ConditionType.READY, "False", problem.reason, problem.message)
    conditions.progress(problem)
    return {
        "metadata": {"generation": 3},
        "status": {"observedGeneration": observed, "conditions": conditions.manifest()},
    }


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "just applied": ({"metadata": {"generation": 1}}, "Progressing"),
    "empty status": ({"metadata": {"generation": 1}, "status": {}}, "Progressing"),
    "connected": (_object(None), "Healthy"),
    "changed since": (_object(None, observed=2), "Progressing"),
    "waits for Twilio": (
        _object(Problem(ConnectorReason.TWILIO_UNAVAILABLE, "It is tried again.", Mend.WAIT)),
        "Progressing",
    ),
    "needs a person": (
        _object(Problem(ConnectorReason.CREDENTIALS_INVALID, "Check authToken.", Mend.PERSON)),
        "Degraded",
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_argo_cd_sees_the_health_that_the_conditions_say(kind: str, case: str) -> None:
    config = yaml.safe_load((GITOPS / "argocd" / "argocd-cm.yaml").read_text("utf-8"))
    script = config["data"][f"resource.customizations.health.switchboard.dev_{kind}"]
    lua = lupa.LuaRuntime(unpack_returned_tuples=True)
    check = lua.eval(f"function(obj) {script} end")
    obj, wanted = CASES[case]
    health = check(lua.table_from(obj, recursive=True))
    assert health["status"] == wanted
    assert health["message"]
    if case == "needs a person":
        assert health["message"] == "CredentialsInvalid: Check authToken."


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_flux_sees_the_same_health(kind: str, case: str) -> None:
    kustomization = yaml.safe_load((GITOPS / "flux" / "agents.yaml").read_text("utf-8"))
    checks = next(it for it in kustomization["spec"]["healthCheckExprs"] if it["kind"] == kind)
    obj, wanted = CASES[case]
    context = cel.Context({"status": {}, **obj})
    # The order in which Flux asks: https://fluxcd.io/flux/components/kustomize/kustomizations/#health-check-expressions
    names = {"inProgress": "Progressing", "failed": "Degraded", "current": "Healthy"}
    found = next((name for check, name in names.items() if cel.evaluate(checks[check], context)), "Progressing")
    assert found == wanted


def _kustomize(path: str) -> list[dict[str, Any]]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl, which holds kustomize, is not on the PATH")
    command = ["kubectl", "kustomize", str(ROOT / "examples" / path)]
    built = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True).stdout
    return list(yaml.safe_load_all(built))


def _one(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [it for it in objects if it["kind"] == kind]
    return found


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_an_overlay_holds_no_credentials_and_stays_in_its_namespace(environment: str) -> None:
    objects = _kustomize(f"overlays/{environment}")
    assert {it["kind"] for it in objects} == {"Namespace", "ExternalSecret", "Agent", "TwilioConnector"}
    namespace = f"acme-{environment}"
    assert _one(objects, "Namespace")["metadata"]["name"] == namespace
    assert {it["metadata"].get("namespace", namespace) for it in objects} == {namespace}
    target = _one(objects, "ExternalSecret")["spec"]["target"]
    assert target["name"] == _one(objects, "TwilioConnector")["spec"]["credentials"]["secretRef"]["name"]
    assert target["template"]["metadata"]["labels"] == {"switchboard.dev/use": "true"}


def test_every_environment_has_a_number_of_its_own() -> None:
    paths = ("quickstart", "overlays/staging", "overlays/production")
    numbers = [_one(_kustomize(path), "TwilioConnector")["spec"]["fromNumber"] for path in paths]
    assert len(set(numbers)) == 3


def test_production_pins_the_revision_that_its_template_makes() -> None:
    agent = _one(_kustomize("overlays/production"), "Agent")
    assert agent["spec"]["revision"] == f"{agent['metadata']['name']}-{agent['spec']['template']['name']}"


@pytest.mark.cluster
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("environment", ["staging", "production"])
async def test_an_api_server_takes_the_overlays_and_refuses_a_broken_one(kubectl: Any, environment: str) -> None:
    objects = [it for it in _kustomize(f"overlays/{environment}") if it["kind"] != "ExternalSecret"]
    try:
        applied = await kubectl.apply(objects)
        assert len(applied) == 3
        connector = _one(objects, "TwilioConnector")
        connector["spec"]["fromNumber"] = "0150"
        with pytest.raises(Invalid, match="fromNumber"):
            await kubectl.apply([connector])
    finally:
        await kubectl.delete_namespace(f"acme-{environment}")


def test_agent_and_connector_are_applied_in_one_wave() -> None:
    """Each waits for the other's health: a wave between them would never end."""
    application = yaml.safe_load((GITOPS / "argocd" / "agents.yaml").read_text("utf-8"))
    waved = [patch["target"]["kind"] for patch in application["spec"]["source"]["kustomize"]["patches"]]
    assert waved == ["ExternalSecret"]
    assert not any("sync-wave" in path.read_text("utf-8") for path in (ROOT / "examples" / "overlays").rglob("*.yaml"))
    operator = yaml.safe_load((GITOPS / "argocd" / "operator.yaml").read_text("utf-8"))
    waves = [int(it["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]) for it in (operator, application)]
    assert waves == sorted(waves)
    assert waves[0] < waves[1]


@pytest.mark.parametrize("path", ["argocd/operator.yaml", "flux/operator.yaml"])
def test_the_values_in_the_examples_are_the_charts(path: str) -> None:
    from tests.chart.rendering import render

    documents = list(yaml.safe_load_all((GITOPS / path).read_text("utf-8")))
    spec = documents[-1]["spec"]
    values = spec["values"] if "values" in spec else spec["source"]["helm"]["valuesObject"]
    assert render(values)
