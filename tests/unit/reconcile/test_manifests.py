"""What runs a revision and leads to it, compared with golden files.

`SWITCHBOARD_GOLDEN=write pytest …` writes them anew; read the difference before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from switchboard.api.agent import ConversationLogSpec
from switchboard.reconcile import agents, routes, secrets, workloads
from switchboard.reconcile.routes import Routing
from switchboard.reconcile.secrets import SecretFacts
from switchboard.reconcile.workloads import Platform, Revision
from switchboard.settings import WebhookSettings

from .samples import agent, revision, script

GOLDEN = Path(__file__).parent / "golden"
PLATFORM = Platform(image="switchboard:1.2.3", public_url="https://agents.example.com", environment=(("A", "b"),))


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def check(name: str, objects: list[dict[str, Any]]) -> None:
    path = GOLDEN / f"{name}.yaml"
    text = yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, width=120)
    if os.environ.get("SWITCHBOARD_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path.name} differs"


def facts(name: str, *keys: str, allowed: bool = True) -> SecretFacts:
    return SecretFacts(name, allowed, frozenset(keys), f"uid-{name}/1")


def made(
    spec: dict[str, Any], *, log: ConversationLogSpec | None = None, known: Any = None, contacts: str = "uid-1"
) -> list[dict[str, Any]]:
    saved = revision("support-v1", **spec)
    log = log or ConversationLogSpec()
    uses = [*secrets.template_uses(saved.spec), *secrets.log_uses(log), secrets.connector_use("sms", "twilio")]
    known = known or {"twilio": facts("twilio", "accountSid", "authToken")}
    return workloads.manifests(Revision(agent(), saved, log, uses, known, contacts), PLATFORM)


def test_a_script_on_one_pod() -> None:
    check("script", made(script(webhook={"replicas": 1})))


def test_a_model_with_secrets_tools_and_a_database() -> None:
    model = {
        "name": "openai:gpt-5.2",
        "instructions": "Be kind.",
        "apiKey": {"secretRef": {"name": "openai", "key": "apiKey"}},
        "mcpServers": [{"name": "orders", "url": "http://orders/mcp", "headersSecretRef": {"name": "orders-mcp"}}],
    }
    log = agents.conversation_log(agent(), "Postgres", "switchboard-postgres", "dsn")
    known = {
        "openai": facts("openai", "apiKey", "unrelated"),
        "orders-mcp": facts("orders-mcp", "Authorization", "X-Team"),
        "switchboard-postgres": facts("switchboard-postgres", "dsn"),
        "twilio": facts("twilio", "accountSid", "authToken"),
    }
    webhook = {
        "replicas": 3,
        "resources": {"requests": {"cpu": 1}},
        "nodeSelector": {"pool": "agents"},
        "tolerations": [{"key": "agents", "operator": "Exists"}],
        "priorityClassName": "high",
    }
    check("model", made({"engine": {"model": model}, "webhook": webhook}, log=log, known=known))


def test_an_endpoint_that_scales_by_itself() -> None:
    endpoint = {
        "url": "http://orders/agent",
        "protocol": "HTTP",
        "headersSecretRef": {"name": "headers"},
        "signingSecret": {"secretRef": {"name": "signing", "key": "key"}},
    }
    known = {"headers": facts("headers", "X-Key"), "signing": facts("signing", "key"), "twilio": None}
    webhook = {"autoscaling": {"minReplicas": 2, "maxReplicas": 5, "targetCPU": 60}}
    check("endpoint", made({"engine": {"endpoint": endpoint}, "webhook": webhook}, known=known))


def test_routes_of_each_kind() -> None:
    connectors = {
        "sms": "https://agents.example.com",
        "eu": "https://eu.example.com/in",
        "lab": "http://127.0.0.1:8080",
    }
    ingress = routes.route(
        agent(), connectors, Routing("Ingress", "nginx", (("cert-manager.io/cluster-issuer", "le"),), "agents-tls")
    )
    http_route = routes.route(agent(), connectors, Routing("HTTPRoute", gateway="infra/public"))
    assert ingress is not None
    assert http_route is not None
    check("routes", [routes.service(agent(), "support-v1"), ingress, http_route])


def test_no_route_where_somebody_else_routes_or_nothing_is_routed() -> None:
    assert routes.route(agent(), {"sms": "https://a.example.com"}, Routing("None")) is None
    assert routes.route(agent(), {}, Routing("Ingress")) is None


def test_pods_meet_the_restricted_standard() -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    [deployment] = [it for it in made(script()) if it["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert "hostNetwork" not in pod
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {next(iter(set(volume) - {"name"})) for volume in pod["volumes"]} <= {"configMap", "projected", "emptyDir"}


def test_a_secret_that_is_not_allowed_is_mounted_by_nothing() -> None:
    objects = made(script(), known={"twilio": facts("twilio", "authToken", allowed=False)})
    [deployment] = [it for it in objects if it["kind"] == "Deployment"]
    [volume] = [it for it in deployment["spec"]["template"]["spec"]["volumes"] if it["name"] == "secrets"]
    assert [source["secret"]["name"] for source in volume["projected"]["sources"]] == ["switchboard-contacts"]


@pytest.mark.parametrize("changed", ["configuration", "secret", "contacts"])
def test_what_pods_read_at_their_start_rolls_them(changed: str) -> None:
    def checksum(objects: list[dict[str, Any]]) -> str:
        [deployment] = [it for it in objects if it["kind"] == "Deployment"]
        return str(deployment["spec"]["template"]["metadata"]["annotations"]["switchboard.dev/checksum"])

    before = checksum(made(script("one")))
    if changed == "configuration":
        assert checksum(made(script("two"))) != before
    elif changed == "contacts":
        assert checksum(made(script("one"), contacts="uid-2")) != before
    else:
        newer = SecretFacts("twilio", True, frozenset({"accountSid", "authToken"}), "uid-twilio/2")
        assert checksum(made(script("one"), known={"twilio": newer})) != before
    assert checksum(made(script("one"))) == before


def test_names_fit_wherever_they_go() -> None:
    longest = "a" * 40
    assert len(routes.name_of(longest)) <= 63
    assert len(f"{longest}-{'b' * 20}") <= 63


def test_pods_trace_to_where_the_operator_does_and_its_keys_stay_with_it() -> None:
    environment = {
        "PATH": "/bin",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=secret",
        "OTEL_SERVICE_NAME": "switchboard-operator",
        "OTEL_TRACES_SAMPLER": "always_on",
    }
    assert workloads.tracing(environment) == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "OTEL_TRACES_SAMPLER": "always_on",
    }
    del environment["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert workloads.tracing(environment) == {}


def test_a_pod_has_longer_to_end_than_its_process_takes() -> None:
    settings = WebhookSettings.model_fields
    # Its connections are closed after the turns: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
    assert settings["shutdown_seconds"].default + 10 <= workloads.GRACE_SECONDS
