"""Small parts of the API server on their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kubesandbox import crud, decoding
from kubesandbox.ages import human
from kubesandbox.assembly import new_cluster
from kubesandbox.builtin import protobuf, types
from kubesandbox.errors import StatusError
from kubesandbox.expiry import drop_expired
from kubesandbox.hostile import Hostility
from kubesandbox.jsonpath import JSONPathError, compile_path
from kubesandbox.paths import request_info
from kubesandbox.selectors import SelectorError, format_selector, parse_labels
from kubesandbox.store import Store
from kubesandbox.wire.messages import HttpRequest


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-0.5, "0s"),
        (-5, "<invalid>"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (600, "10m"),
        (3600 * 3, "3h"),
        (3600 * 7 + 60, "7h1m"),
        (3600 * 47, "47h"),
        (86400 * 2, "2d"),
        (86400 * 7 + 3600, "7d1h"),
        (86400 * 100, "100d"),
        (86400 * 365 * 2, "2y"),
        (86400 * (365 * 3 + 10), "3y10d"),
        (86400 * 365 * 9, "9y"),
    ],
)
def test_an_age_is_shown_as_kubectl_shows_it(seconds: float, shown: str) -> None:
    assert human(seconds) == shown


OBJECT = {
    "metadata": {"annotations": {"example.com/a.b": "yes"}},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Live", "status": "False", "n": 2}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[*].type", ["Ready", "Live"]),
        (".status.conditions[-1].type", ["Live"]),
        (".status.conditions[?(@.n>1)].type", ["Live"]),
        (r".metadata.annotations.example\.com/a\.b", ["yes"]),
        (".metadata.annotations['example.com/a.b']", ["yes"]),
        (".spec.missing", []),
        ("{.status.conditions[0].type}", ["Ready"]),
        ("..type", ["Ready", "Live"]),
    ],
)
def test_a_path_finds_what_client_go_finds(path: str, found: list[object]) -> None:
    assert compile_path(path)(OBJECT) == found


def test_a_path_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(JSONPathError):
        compile_path("status[")


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a!=b", {}, True),
        ("a in (b, c)", {"a": "c"}, True),
        ("a notin (b)", {"a": "b"}, False),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("a=", {"a": ""}, True),
        ("a>1,a<5", {"a": "3"}, True),
        ("a>1", {"a": "x"}, False),
    ],
)
def test_a_selector_matches_as_in_kubernetes(text: str, labels: dict[str, str], matches: bool) -> None:
    assert parse_labels(text).matches(labels) is matches


@pytest.mark.parametrize("text", ["a in b", "a=b c", "=b", "a in (b", "a>x", "a b"])
def test_a_selector_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(SelectorError):
        parse_labels(text)


def test_a_selector_is_written_as_kubectl_writes_it() -> None:
    expressions = [{"key": "b", "operator": "In", "values": ["y", "x"]}, {"key": "c", "operator": "DoesNotExist"}]
    assert format_selector({"matchLabels": {"a": "1"}, "matchExpressions": expressions}) == "a=1,b in (x,y),!c"
    assert format_selector({}) == "<none>"


def decoded(name: str, value: object) -> tuple[object, list[str]]:
    unknown: list[str] = []
    return types.decoder(types.type_name("apps", "v1", name))(value, "", unknown), unknown


def test_decoding_leaves_out_what_go_leaves_out_and_names_what_is_unknown() -> None:
    container = {"name": "c", "env": [{"name": "A", "value": ""}], "stdin": False, "bogus": 1}
    template = {"spec": {"containers": [container], "hostNetwork": False}}
    body, unknown = decoded("Deployment", {"spec": {"replicas": 0, "paused": False, "template": template}})
    assert body["spec"]["replicas"] == 0
    assert "paused" not in body["spec"]
    assert body["spec"]["template"]["spec"]["containers"][0] == {"name": "c", "env": [{"name": "A"}], "resources": {}}
    assert unknown == ["spec.template.spec.containers[0].bogus"]


def test_decoding_refuses_a_wrong_type_in_gos_words() -> None:
    with pytest.raises(types.DecodeError) as error:
        decoded("Deployment", {"spec": {"template": {"spec": {"containers": [{"env": [{"name": "A", "value": 1}]}]}}}})
    assert str(error.value) == (
        "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value "
        "of type string"
    )


def field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2, len(data)]) + data


def test_a_protobuf_body_is_read_as_its_json() -> None:
    metadata = field(1, b"c") + field(11, field(1, b"app") + field(2, b"x"))
    raw = field(1, metadata) + field(2, field(1, b"key") + field(2, b"value"))
    envelope = b"k8s\x00" + field(1, field(1, b"v1") + field(2, b"ConfigMap")) + field(2, raw)
    assert protobuf.decode(envelope) == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "c", "labels": {"app": "x"}},
        "data": {"key": "value"},
    }


@pytest.mark.parametrize("data", [b"", b"{}", b"k8s\x00\xff", b"k8s\x00" + field(1, field(2, b"Nothing"))])
def test_what_is_no_protobuf_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(protobuf.ProtobufError):
        protobuf.decode(data)


def test_no_two_fields_of_a_type_have_one_protobuf_number() -> None:
    for name, spec in types.specs().items():
        numbers = [f["n"] for f in spec["f"].values() if "n" in f] + [int(n) for n in spec.get("i", {})]
        assert len(numbers) == len(set(numbers)), name


def test_the_store_tells_the_past_as_far_as_it_is_kept() -> None:
    store = Store()
    table = store.table("", "things")
    for name in ("b", "a"):
        table.put({"metadata": {"name": name, "namespace": "n"}})
    then = store.revision
    table.put({"metadata": {"name": "a", "namespace": "n"}, "data": 1})
    table.remove("n", "b")
    assert [v.object["metadata"]["name"] for v in table.scan()] == ["a"]
    before = table.at(then, "n")
    assert before is not None
    assert [(v.object["metadata"]["name"], v.object.get("data")) for v in before] == [("a", None), ("b", None)]
    table.compacted = store.revision
    assert table.at(then) is None


def test_events_go_after_an_hour() -> None:
    cluster = new_cluster()
    kind = cluster.kinds.get("", "v1", "events")
    request = cluster.request("default")
    about = {"kind": "Pod", "name": "p", "namespace": "default"}
    body = {"metadata": {"name": "e"}, "involvedObject": about, "reason": "R"}
    crud.create(kind, decoding.receive(kind, body, request), request)
    now = datetime.now(UTC)
    assert drop_expired(cluster, now + timedelta(minutes=59)) == 0
    assert drop_expired(cluster, now + timedelta(minutes=61)) == 1


def test_the_same_seed_makes_the_same_trouble() -> None:
    def trouble(seed: int) -> list[object]:
        hostility = Hostility(seed)
        return [(hostility.watch_end(), hostility.watch_lag(), hostility.mount_lag()) for _ in range(50)]

    assert trouble(1) == trouble(1)
    assert trouble(1) != trouble(2)


def test_a_refusal_is_never_told_as_a_lost_answer() -> None:
    def lost(status: int) -> int:
        hostility, count = Hostility(1), 0
        for _ in range(2000):
            try:
                hostility.after(delete, status)
            except StatusError:
                count += 1
        return count

    delete = request_info(HttpRequest("DELETE", "/api/v1/namespaces/default/configmaps/one", {}))
    assert lost(200) > 0
    assert [lost(404), lost(409), lost(422)] == [0, 0, 0]
