"""Replays a recording of API requests and says, step by step, how the answers differ from kube-apiserver's."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).with_name("recordings")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# Seconds since a step before; days since a date that a recorded object has.
_AGE = re.compile(r"\d+s|(?:\d+y)?\d+d")
_ADDRESS = re.compile(r"\b10\.\d+\.\d+\.\d+\b")
_BLANK = {
    "uid": "<uid>",
    "resourceVersion": "<rv>",
    "clusterIP": "<ip>",
    "remainingItemCount": "<n>",
    "continue": "<continue>",
}
_UNSHOWN = {"managedFields", "selfLink"}
UNTIL_SECONDS = 10.0

Json = Any


def load(name: str) -> list[dict[str, Json]]:
    """The steps of a recording."""
    steps: list[dict[str, Json]] = json.loads((RECORDINGS / f"{name}.json").read_text())
    return steps


def blanked(value: Json, key: str = "") -> Json:
    """The value with everything that differs from run to run replaced by placeholders."""
    if isinstance(value, dict):
        value = {k: blanked(v, k) for k, v in sorted(value.items()) if k not in _UNSHOWN}
        details = value.get("details")
        if isinstance(details, dict) and len(details.get("causes", [])) > 1:
            value["message"] = "<several causes>"
        return value
    if isinstance(value, list):
        if key == "clusterIPs":
            return ["<ip>"]
        items = [blanked(item, key if key == "causes" else "") for item in value]
        return sorted(items, key=json.dumps) if key == "causes" else items
    if isinstance(value, str):
        if key in _BLANK and value:
            return _BLANK[key]
        value = _ADDRESS.sub("<ip>", _UID.sub("<uid>", _TIME.sub("<time>", value)))
        return "<age>" if _AGE.fullmatch(value) else value
    return value


def _columns(table: Json) -> Json:
    return {
        "kind": table.get("kind"),
        "columns": [[c["name"], c["type"], c.get("priority", 0)] for c in table.get("columnDefinitions", [])],
        "rows": [row["cells"] for row in table.get("rows", [])],
    }


def differences(wanted: Json, got: Json, *, subset: bool, path: str = "") -> list[str]:
    """Where `got` differs from `wanted`; what is only in `got` is no difference to a subset."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        found = [f"{path}.{key}: missing" for key in wanted.keys() - got.keys()]
        if not subset:
            found += [f"{path}.{key}: not expected: {got[key]!r}" for key in got.keys() - wanted.keys()]
        for key in wanted.keys() & got.keys():
            found += differences(wanted[key], got[key], subset=subset, path=f"{path}.{key}")
        return found
    if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        pairs = enumerate(zip(wanted, got, strict=True))
        return [d for i, (a, b) in pairs for d in differences(a, b, subset=subset, path=f"{path}[{i}]")]
    return [] if wanted == got else [f"{path}: wanted {wanted!r}, got {got!r}"]


class Replay:
    """One recording against one server."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._kept: dict[str, str] = {}

    def run(self, steps: list[dict[str, Json]]) -> list[list[str]]:
        """Every step's differences, in order; a step that fails does not stop the next."""
        return [self._step(step) for step in steps]

    def _step(self, step: dict[str, Json]) -> list[str]:
        try:
            status, body = self._ask(step)
            deadline = time.monotonic() + UNTIL_SECONDS
            while "until" in step and step["until"] not in json.dumps(body) and time.monotonic() < deadline:
                status, body = self._ask(step)
            found = self._compare(step, status, body)
            for name, path in step.get("keep", {}).items() if not found else ():
                self._kept[name] = str(self._part(body, path))
        except (OSError, KeyError, ValueError) as error:
            return [repr(error)]
        return found

    def _filled(self, text: str) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda match: self._kept[match.group(1)], text)

    def _ask(self, step: dict[str, Json]) -> tuple[int, Json]:
        request = step["request"]
        url = self._server + self._filled(request["path"])
        if request.get("query"):
            url += "?" + urllib.parse.urlencode({k: self._filled(str(v)) for k, v in request["query"].items()})
        headers = {"Accept": "application/json", **request.get("headers", {})}
        data = None
        if request.get("raw") is not None:
            data = self._filled(request["raw"]).encode()
        elif request.get("body") is not None:
            data = self._filled(json.dumps(request["body"])).encode()
            headers.setdefault("Content-Type", "application/json")
        asked = urllib.request.Request(url, data=data, headers=headers, method=request["method"])
        watch = step.get("watch")
        try:
            with urllib.request.urlopen(asked, timeout=watch["seconds"] if watch else 30) as response:
                if watch:
                    return response.status, _events(response, watch["events"])
                return response.status, _parsed(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _parsed(error.read())

    @staticmethod
    def _part(body: Json, path: str | None) -> Json:
        for key in path.split(".") if path else ():
            body = body.get(key) if isinstance(body, dict) else None
        return body

    def _compare(self, step: dict[str, Json], status: int, body: Json) -> list[str]:
        expect, how = step["expect"], step.get("compare", "body")
        if status != expect["status"]:
            return [f"status: wanted {expect['status']}, got {status}: {json.dumps(body)[:300]}"]
        if how == "status":
            return []
        shown = _columns(body) if how == "columns" and isinstance(body, dict) else self._part(body, step.get("only"))
        return differences(expect["body"], blanked(shown), subset=how == "subset")


def _events(response: Json, count: int) -> list[Json]:
    events: list[Json] = []
    try:
        for line in response:
            events.append(json.loads(line))
            if len(events) == count:
                break
    except TimeoutError:
        pass
    return events


def _parsed(data: bytes) -> Json:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")
