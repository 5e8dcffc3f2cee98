"""Tokens, impersonation, RBAC, and policies that decide about writes."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.kubesandbox.conftest import serving
from tests.conformance.kubesandbox.http import Api, Reply, config_map

from kubesandbox.assembly import Options

RBAC = "/apis/rbac.authorization.k8s.io/v1"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"


@pytest.fixture(scope="module")
def strict() -> Iterator[Api]:
    """A server that enforces RBAC."""
    with serving(Options(controllers=False, node=False, rbac=True)) as sandbox:
        admin = Api(sandbox.url)
        admin.good("POST", "/api/v1/namespaces", {"metadata": {"name": "acme"}})
        yield admin


def as_user(api: Api, name: str, *groups: str) -> Api:
    headers = {"Impersonate-User": name}
    return Api(api.url, {**headers, **({"Impersonate-Group": groups[0]} if groups else {})})


def grant(api: Api, name: str, user: str, *rules: dict) -> None:
    path = f"{RBAC}/namespaces/acme"
    api.good("POST", f"{path}/roles", {"metadata": {"name": name}, "rules": list(rules)})
    bind(api, f"{path}/rolebindings", name, user, {"kind": "Role", "name": name})


def bind(api: Api, path: str, name: str, user: str, role: dict) -> Reply:
    reference = {"apiGroup": "rbac.authorization.k8s.io", **role}
    body = {"metadata": {"name": name}, "roleRef": reference, "subjects": [{"kind": "User", "name": user}]}
    return api("POST", path, body)


def rule(verbs: str, resources: str, group: str = "", **rest: list[str]) -> dict:
    return {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split(), **rest}


def test_who_has_no_role_is_told_what_is_missing(strict: Api) -> None:
    reply = as_user(strict, "eve")("GET", "/api/v1/namespaces/acme/configmaps/one")
    assert reply.status == 403
    assert reply.body["message"] == (
        'configmaps "one" is forbidden: User "eve" cannot get resource "configmaps" in API group "" '
        'in the namespace "acme"'
    )
    assert reply.body["details"] == {"name": "one", "kind": "configmaps"}
    listed = as_user(strict, "eve")("GET", "/api/v1/secrets")
    assert listed.body["message"] == (
        'secrets is forbidden: User "eve" cannot list resource "secrets" in API group "" at the cluster scope'
    )


def test_a_role_allows_its_verbs_on_its_resources_and_names_only(strict: Api) -> None:
    grant(strict, "reader", "ann", rule("get list", "configmaps"), rule("get", "secrets", resourceNames=["mine"]))
    ann = as_user(strict, "ann")
    assert ann("GET", "/api/v1/namespaces/acme/configmaps").status == 200
    assert ann("POST", "/api/v1/namespaces/acme/configmaps", config_map("c")).status == 403
    assert ann("GET", "/api/v1/namespaces/acme/secrets/mine").status == 404
    assert ann("GET", "/api/v1/namespaces/acme/secrets/other").status == 403
    assert ann("GET", "/api/v1/namespaces/default/configmaps").status == 403


def test_a_subresource_needs_a_rule_of_its_own(strict: Api) -> None:
    grant(strict, "pods", "pia", rule("get", "pods"))
    reply = as_user(strict, "pia")("GET", "/api/v1/namespaces/acme/pods/p/log")
    assert reply.status == 403
    assert 'cannot get resource "pods/log"' in reply.body["message"]


def test_nobody_grants_what_they_do_not_have(strict: Api) -> None:
    grant(strict, "granter", "gil", rule("create", "roles rolebindings", "rbac.authorization.k8s.io"))
    gil, path = as_user(strict, "gil"), f"{RBAC}/namespaces/acme"
    role = {"metadata": {"name": "more"}, "rules": [rule("get", "secrets")]}
    reply = gil("POST", f"{path}/roles", role)
    assert reply.status == 403
    assert reply.body["message"].endswith(
        "is attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'
    )
    bound = bind(gil, f"{path}/rolebindings", "more", "gil", {"kind": "ClusterRole", "name": "admin"})
    assert bound.status == 403


def test_the_verb_bind_lets_bind_by_name(strict: Api) -> None:
    group = "rbac.authorization.k8s.io"
    grant(
        strict,
        "binder",
        "bob",
        rule("create", "rolebindings", group),
        rule("bind", "clusterroles", group, resourceNames=["view"]),
    )
    path = f"{RBAC}/namespaces/acme/rolebindings"
    assert bind(as_user(strict, "bob"), path, "v", "vic", {"kind": "ClusterRole", "name": "view"}).status == 201
    assert bind(as_user(strict, "bob"), path, "e", "vic", {"kind": "ClusterRole", "name": "edit"}).status == 403
    assert as_user(strict, "vic")("GET", "/api/v1/namespaces/acme/configmaps").status == 200
    assert as_user(strict, "vic")("GET", "/api/v1/namespaces/acme/secrets").status == 403


def test_an_aggregated_role_has_the_rules_of_those_it_selects(strict: Api) -> None:
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    body = {"metadata": {"name": "lines-view", "labels": labels}, "rules": [rule("get", "lines", "example.com")]}
    strict.good("POST", f"{RBAC}/clusterroles", body)
    for name in ("view", "edit", "admin"):
        strict.until(f"{RBAC}/clusterroles/{name}", lambda reply: body["rules"][0] in reply.body["rules"])


def token(api: Api, name: str) -> str:
    api.good("POST", "/api/v1/namespaces/acme/serviceaccounts", {"metadata": {"name": name}})
    path = f"/api/v1/namespaces/acme/serviceaccounts/{name}/token"
    body = api.good("POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
    made: str = body["status"]["token"]
    return made


def test_a_service_accounts_token_is_that_account(strict: Api) -> None:
    account = Api(strict.url, {"Authorization": f"Bearer {token(strict, 'runner')}"})
    body = account.good("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert body["status"]["userInfo"]["username"] == "system:serviceaccount:acme:runner"
    assert "system:serviceaccounts:acme" in body["status"]["userInfo"]["groups"]
    assert account("GET", "/api/v1/namespaces/acme/configmaps").status == 403


def test_a_wrong_token_is_401_and_so_is_one_of_an_account_that_is_gone(strict: Api) -> None:
    assert Api(strict.url, {"Authorization": "Bearer nonsense"})("GET", "/api/v1/namespaces").status == 401
    gone = Api(strict.url, {"Authorization": f"Bearer {token(strict, 'gone')}"})
    strict.good("DELETE", "/api/v1/namespaces/acme/serviceaccounts/gone")
    reply = gone("GET", "/api/v1/namespaces")
    assert (reply.status, reply.body["reason"]) == (401, "Unauthorized")


def test_a_token_review_tells_whose_token_it_is(strict: Api) -> None:
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    good = strict.good("POST", path, {"spec": {"token": token(strict, "reviewed")}})["status"]
    assert (good["authenticated"], good["user"]["username"]) == (True, "system:serviceaccount:acme:reviewed")
    bad = strict.good("POST", path, {"spec": {"token": "nonsense"}})["status"]
    assert "authenticated" not in bad
    assert bad["error"]


def test_an_access_review_answers_for_others(strict: Api) -> None:
    grant(strict, "reviewed", "rio", rule("get", "pods"))
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    attributes = {"namespace": "acme", "verb": "get", "resource": "pods"}
    body = strict.good("POST", path, {"spec": {"user": "rio", "resourceAttributes": attributes}})
    assert body["status"] == {
        "allowed": True,
        "reason": 'RBAC: allowed by RoleBinding "reviewed/acme" of Role "reviewed" to User "rio"',
    }
    denied = strict.good(
        "POST", path, {"spec": {"user": "rio", "resourceAttributes": {**attributes, "verb": "delete"}}}
    )
    assert denied["status"] == {"allowed": False}


def policy(name: str, namespace: str, expression: str, **validation: str) -> list[dict]:
    rules = [
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}
    ]
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return [
        {
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": rules, "namespaceSelector": selector},
                "variables": [{"name": "user", "expression": "request.userInfo.username"}],
                "validations": [{"expression": expression, **validation}],
            },
        },
        {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}},
    ]


def test_a_bound_policy_denies_what_its_expression_does_not_hold_for(ask: Api, space: str) -> None:
    made, binding = policy(
        space,
        space,
        "variables.user != 'eve' || object.data.decision == oldObject.data.decision",
        messageExpression="variables.user + ' decides nothing'",
        reason="Forbidden",
    )
    ask.good("POST", POLICIES, made)
    ask.good("POST", POLICIES[: -len("ies")] + "ybindings", binding)
    path = f"/api/v1/namespaces/{space}/configmaps"
    ask.good("POST", path, config_map("c", {"decision": "Pending"}))
    eve = as_user(ask, "eve", "system:masters")
    assert eve("PATCH", f"{path}/c", {"data": {"note": "x"}}, kind="application/merge-patch+json").status == 200
    reply = eve("PATCH", f"{path}/c", {"data": {"decision": "Approved"}}, kind="application/merge-patch+json")
    assert (reply.status, reply.body["reason"]) == (403, "Forbidden")
    assert reply.body["message"] == (
        f"configmaps \"c\" is forbidden: ValidatingAdmissionPolicy '{space}' with binding '{space}' denied request: "
        "eve decides nothing"
    )
    assert ask.merge(f"{path}/c", {"data": {"decision": "Approved"}})["data"]["decision"] == "Approved"


def test_a_policy_that_does_not_compile_is_refused(ask: Api, space: str) -> None:
    reply = ask("POST", POLICIES, policy(space, space, "object.data.")[0])
    assert reply.status == 422
    assert reply.body["details"]["causes"][0]["field"] == "spec.validations[0].expression"


def test_what_policies_cannot_do_here_is_501(ask: Api, space: str) -> None:
    expression = "authorizer.group('').resource('pods').check('get').allowed()"
    reply = ask("POST", POLICIES, policy(space, space, expression)[0])
    assert (reply.status, reply.body["reason"]) == (501, "NotImplemented")


def test_with_tls_who_shows_no_token_is_anonymous_and_the_kubeconfig_has_one(tmp_path: Path) -> None:
    with serving(Options(controllers=False, node=False, tls=True, rbac=True)) as sandbox:
        sandbox.write_kubeconfig(tmp_path / "kubeconfig")
        config = json.loads((tmp_path / "kubeconfig").read_text())
        authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"])
        context = ssl.create_default_context(cadata=authority.decode())

        def status(headers: dict[str, str]) -> int:
            request = urllib.request.Request(f"{sandbox.url}/api/v1/namespaces", headers=headers)
            try:
                with urllib.request.urlopen(request, context=context) as response:
                    return int(response.status)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code

        assert status({}) == 403
        assert status({"Authorization": f"Bearer {config['users'][0]['user']['token']}"}) == 200


def test_a_request_under_another_hosts_name_is_nobodys(ask: Api) -> None:
    assert Api(ask.url, {"Host": "evil.example.com"})("GET", "/api/v1/namespaces").status == 401
    assert Api(ask.url, {"Host": "localhost:1234"})("GET", "/api/v1/namespaces").status == 200


def test_an_upgrade_is_refused_with_a_status(ask: Api, space: str) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
    reply = Api(ask.url, upgrade)("POST", f"/api/v1/namespaces/{space}/pods/p/exec", command="true")
    assert (reply.status, reply.body["reason"]) == (501, "NotImplemented")


def test_a_token_secret_gets_a_token_that_lives_as_long_as_it_does(strict: Api) -> None:
    namespace = "/api/v1/namespaces/acme"
    strict.good("POST", f"{namespace}/serviceaccounts", {"metadata": {"name": "lasting"}})
    annotations = {"kubernetes.io/service-account.name": "lasting"}
    kind = "kubernetes.io/service-account-token"
    strict.good("POST", f"{namespace}/secrets", {"metadata": {"name": "t", "annotations": annotations}, "type": kind})
    held = base64.b64decode(strict.good("GET", f"{namespace}/secrets/t")["data"]["token"]).decode()
    account, path = Api(strict.url, {"Authorization": f"Bearer {held}"}), "/api/v1/namespaces/acme/pods"
    assert account("GET", path).status == 403
    strict.good("DELETE", f"{namespace}/secrets/t")
    assert account("GET", path).status == 401
