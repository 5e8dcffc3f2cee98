"""Lists, pages, earlier revisions, and watches."""

from __future__ import annotations

import urllib.request

from tests.conformance.kubesandbox.http import Api, config_map

from kubesandbox.assembly import Sandbox


def fill(ask: Api, space: str, count: int) -> str:
    path = f"/api/v1/namespaces/{space}/configmaps"
    for number in range(count):
        ask.good("POST", path, config_map(f"c{number}"))
    return path


def names(body: dict) -> list[str]:
    return [item["metadata"]["name"] for item in body["items"]]


def test_pages_show_one_state_although_objects_come_and_go_between_them(ask: Api, space: str) -> None:
    path = fill(ask, space, 5)
    first = ask.good("GET", path, limit="2")
    ask.good("DELETE", f"{path}/c4")
    ask.good("POST", path, config_map("c9"))
    second = ask.good("GET", path, limit="2", **{"continue": first["metadata"]["continue"]})
    third = ask.good("GET", path, limit="2", **{"continue": second["metadata"]["continue"]})
    assert [names(first), names(second), names(third)] == [["c0", "c1"], ["c2", "c3"], ["c4"]]
    assert first["metadata"]["remainingItemCount"] == 3
    assert "continue" not in third["metadata"]
    assert {page["metadata"]["resourceVersion"] for page in (first, second, third)} == {
        first["metadata"]["resourceVersion"]
    }


def test_a_continue_token_that_is_no_longer_known_is_410(ask: Api, space: str, api: Sandbox) -> None:
    path = fill(ask, space, 3)
    token = ask.good("GET", path, limit="1")["metadata"]["continue"]
    api.cluster.lister.expire()
    reply = ask("GET", path, limit="1", **{"continue": token})
    assert (reply.status, reply.body["reason"]) == (410, "Expired")


def test_a_list_at_an_exact_revision_is_as_it_was_then(ask: Api, space: str) -> None:
    path = fill(ask, space, 2)
    then = ask.good("GET", path)["metadata"]["resourceVersion"]
    ask.merge(f"{path}/c0", {"data": {"a": "new"}})
    ask.good("DELETE", f"{path}/c1")
    body = ask.good("GET", path, resourceVersion=then, resourceVersionMatch="Exact")
    assert names(body) == ["c0", "c1"]
    assert "data" not in body["items"][0]


def test_a_revision_that_is_still_to_come_is_a_timeout(ask: Api, space: str) -> None:
    reply = ask("GET", f"/api/v1/namespaces/{space}/configmaps", resourceVersion="999999999")
    assert (reply.status, reply.body["reason"]) == (504, "Timeout")
    assert reply.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_a_watch_from_before_what_is_kept_is_told_410_as_an_event(ask: Api, space: str, api: Sandbox) -> None:
    path = fill(ask, space, 2)
    table = api.cluster.store.table("", "configmaps")
    table.compacted = api.cluster.store.revision
    event = ask.watch(path, 1, resourceVersion="1")[0]
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_a_watch_that_streams_the_list_ends_its_beginning_with_a_bookmark(ask: Api, space: str) -> None:
    path = fill(ask, space, 2)
    query = {"sendInitialEvents": "true", "allowWatchBookmarks": "true", "resourceVersionMatch": "NotOlderThan"}
    events = ask.watch(path, 3, **query)
    assert [event["type"] for event in events] == ["ADDED", "ADDED", "BOOKMARK"]
    marked = events[-1]["object"]["metadata"]
    assert marked["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_watch_with_bookmarks_has_one_shortly_before_its_end(ask: Api, space: str) -> None:
    path = fill(ask, space, 1)
    now = ask.good("GET", path)["metadata"]["resourceVersion"]
    events = ask.watch(path, 5, resourceVersion=now, allowWatchBookmarks="true", timeoutSeconds="5")
    assert [event["type"] for event in events] == ["BOOKMARK"]


def test_a_short_watch_has_no_bookmark(ask: Api, space: str) -> None:
    path = fill(ask, space, 1)
    now = ask.good("GET", path)["metadata"]["resourceVersion"]
    assert ask.watch(path, 5, resourceVersion=now, allowWatchBookmarks="true", timeoutSeconds="1") == []


def test_an_object_may_be_had_as_its_metadata_only(ask: Api, space: str) -> None:
    path = fill(ask, space, 1)
    shape = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    body = Api(ask.url, {"Accept": shape}).good("GET", path)
    assert body["kind"] == "PartialObjectMetadataList"
    assert set(body["items"][0]) == {"kind", "apiVersion", "metadata"}


def test_a_table_is_watched_row_by_row_with_its_columns_once(ask: Api, space: str) -> None:
    path = fill(ask, space, 2)
    table = Api(ask.url, {"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"})
    first, second = table.watch(path, 2)
    assert [column["name"] for column in first["object"]["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["object"]["columnDefinitions"] is None
    assert first["object"]["rows"][0]["cells"][:2] == ["c0", 0]


def test_a_large_list_is_compressed_for_who_takes_it(ask: Api, space: str) -> None:
    path = f"/api/v1/namespaces/{space}/configmaps"
    ask.good("POST", path, config_map("big", {"a": "x" * 300_000}))
    request = urllib.request.Request(ask.url + path, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert len(response.read()) < 10_000


def test_yaml_is_answered_to_who_asks_for_it(ask: Api, space: str) -> None:
    path = fill(ask, space, 1)
    body = Api(ask.url, {"Accept": "application/yaml"}).good("GET", f"{path}/c0")
    assert body.splitlines()[0] == "apiVersion: v1"


def test_who_takes_only_protobuf_is_406(ask: Api) -> None:
    reply = Api(ask.url, {"Accept": "application/vnd.kubernetes.protobuf"})("GET", "/api/v1/namespaces")
    assert (reply.status, reply.body["reason"]) == (406, "NotAcceptable")
