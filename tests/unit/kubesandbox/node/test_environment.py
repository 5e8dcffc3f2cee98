"""Environments, command lines and paths."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from kubesandbox.client import Object
from kubesandbox.node import quantity
from kubesandbox.node.environment import (
    ContainerConfigError,
    Facts,
    References,
    expand,
    field_value,
    referenced,
    rewrite,
    variables,
)

FACTS = Facts("node-1", "127.244.0.5", "127.0.0.1", {"cpu": "2", "memory": "1Gi"})
POD: Object = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "u", "labels": {"b": 'say "hi"', "a": "1"}},
    "spec": {"containers": [{"name": "main"}]},
}


def env(*entries: Object, references: References | None = None, **container: object) -> dict[str, str]:
    return variables({"name": "main", "env": list(entries), **container}, POD, references or References(), FACTS)


def of(**source: object) -> Object:
    return {"name": "X", "valueFrom": source}


def test_later_variables_see_earlier_ones_only() -> None:
    assert env({"name": "A", "value": "$(B)"}, {"name": "B", "value": "b"}, {"name": "C", "value": "$(B)"}) == {
        "A": "$(B)",
        "B": "b",
        "C": "b",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$(A)", "1"), ("$$(A)", "$(A)"), ("$$$(A)", "$1"), ("$(NO)", "$(NO)"), ("$A $(A", "$A $(A"), ("$(A)$(A)", "11")],
)
def test_references_expand_as_kubernetes_documents(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}) == expected


def test_secrets_are_decoded_and_config_maps_are_not() -> None:
    references = References(
        {"cm": {"kind": "ConfigMap", "data": {"k": "djE="}}},
        {"s": {"kind": "Secret", "data": {"k": base64.b64encode(b"v1").decode()}}},
    )
    assert env(of(secretKeyRef={"name": "s", "key": "k"}), references=references) == {"X": "v1"}
    assert env(of(configMapKeyRef={"name": "cm", "key": "k"}), references=references) == {"X": "djE="}
    listed = [{"prefix": "P_", "secretRef": {"name": "s"}}, {"configMapRef": {"name": "no", "optional": True}}]
    assert env(references=references, envFrom=listed) == {"P_k": "v1"}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"secretKeyRef": {"name": "s", "key": "k"}}, 'secret "s" not found'),
        ({"configMapKeyRef": {"name": "here", "key": "k"}}, "couldn't find key k in ConfigMap shop/here"),
        ({"fieldRef": {"fieldPath": "spec.secret"}}, "unsupported fieldPath: spec.secret"),
        ({"fileKeyRef": {}}, "unsupported valueFrom: fileKeyRef"),
    ],
)
def test_what_is_missing_is_named_as_the_kubelet_names_it(source: Object, text: str) -> None:
    references = References({"here": {"kind": "ConfigMap", "data": {}}}, {"s": None})
    with pytest.raises(ContainerConfigError, match=text.replace("(", r"\(")):
        env(of(**source), references=references)


def test_labels_are_listed_in_order_and_quoted() -> None:
    assert field_value("metadata.labels", POD, FACTS) == 'a="1"\nb="say \\"hi\\""'
    assert field_value("metadata.labels['a']", POD, FACTS) == "1"
    assert field_value("metadata.annotations['none']", POD, FACTS) == ""


def test_a_limit_that_is_not_set_is_what_the_node_has() -> None:
    resources = {"requests": {"cpu": "100m"}}
    wanted = [of(resourceFieldRef={"resource": "limits.memory", "divisor": "1Mi"})]
    assert env(*wanted, resources=resources) == {"X": "1024"}
    assert env(of(resourceFieldRef={"resource": "requests.cpu"}), resources=resources) == {"X": "1"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/etc/cfg", "/r/v"),
        ("/etc/cfg/a.yaml", "/r/v/a.yaml"),
        ("--config=/etc/cfg/a", "--config=/r/v/a"),
        ("cat /etc/cfg/a; cat '/etc/cfg/b'", "cat /r/v/a; cat '/r/v/b'"),
        ("/usr/lib:/etc/cfg:/x", "/usr/lib:/r/v:/x"),
        ("/etc/cfg2/a", "/etc/cfg2/a"),
        ("/srv/etc/cfg", "/srv/etc/cfg"),
        ("https://host/etc/cfg", "https://host/etc/cfg"),
        ("/etc/cfg/sub/x", "/r/s/x"),
    ],
)
def test_mount_paths_are_rewritten_where_they_stand_as_paths(text: str, expected: str) -> None:
    assert rewrite(text, {"/etc/cfg": Path("/r/v"), "/etc/cfg/sub/": Path("/r/s")}) == expected


def test_references_of_all_containers_are_found() -> None:
    spec = {
        "initContainers": [{"envFrom": [{"configMapRef": {"name": "a"}}]}],
        "containers": [
            {"env": [of(secretKeyRef={"name": "b", "key": "k"}), of(configMapKeyRef={"name": "c", "key": "k"})]}
        ],
    }
    assert referenced(spec) == ({"a", "c"}, {"b"})


@pytest.mark.parametrize(
    ("text", "divisor", "expected"), [("1500m", "1", "2"), ("1Gi", "1Mi", "1024"), ("2", "1m", "2000")]
)
def test_quantities_divide_and_round_up(text: str, divisor: str, expected: str) -> None:
    assert quantity.divided(text, divisor) == expected


@pytest.mark.parametrize("text", ["", "1x", "abc", "1KiB", "--1"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity.parse(text)


def test_a_mount_is_not_looked_for_where_another_really_is() -> None:
    mounts = {"/tmp": Path("/tmp/pod/tmp"), "/etc/cfg": Path("/tmp/pod/cfg")}
    assert rewrite("/etc/cfg/a /tmp/b", mounts) == "/tmp/pod/cfg/a /tmp/pod/tmp/b"
