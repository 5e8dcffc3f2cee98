"""A few lines of HTTP for tests that look at answers as they come over the wire."""

from __future__ import annotations

import itertools
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = Any


@dataclass
class Reply:
    """A status, a body and the headers."""

    status: int
    body: Json
    headers: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Api:
    """One server, asked as one user."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self, method: str, path: str, body: Json = None, *, kind: str = "", **query: str) -> Reply:
        """Ask once; `kind` is the body's media type."""
        url = self.url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "Content-Type": kind or "application/json", **self.headers}
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return self._reply(response.status, response.read(), response.headers)
        except urllib.error.HTTPError as error:
            with error:
                return self._reply(error.code, error.read(), error.headers)

    @staticmethod
    def _reply(status: int, data: bytes, headers: Any) -> Reply:
        try:
            body = json.loads(data)
        except ValueError:
            body = data.decode()
        return Reply(status, body, {key: headers.get_all(key) for key in headers})

    def good(self, method: str, path: str, body: Json = None, *, kind: str = "", **query: str) -> Json:
        """Ask, and have the body of a success."""
        reply = self(method, path, body, kind=kind, **query)
        assert reply.status < 300, reply.body
        return reply.body

    def merge(self, path: str, body: Json, **query: str) -> Json:
        """A merge patch that must succeed."""
        return self.good("PATCH", path, body, kind="application/merge-patch+json", **query)

    def watch(self, path: str, count: int, **query: str) -> list[Json]:
        """The first events of a watch."""
        url = self.url + path + "?" + urllib.parse.urlencode({"watch": "true", "timeoutSeconds": "5", **query})
        with urllib.request.urlopen(urllib.request.Request(url, headers=self.headers), timeout=30) as response:
            return [json.loads(line) for line in itertools.islice(response, count)]

    def until(self, path: str, holds: Callable[[Reply], bool]) -> Reply:
        """Ask until the answer is as wanted, for half a minute at most."""
        deadline = time.monotonic() + 30
        while not holds(reply := self("GET", path)):
            assert time.monotonic() < deadline, reply.body
        return reply

    def gone(self, path: str) -> None:
        """Wait until there is nothing at a path."""
        self.until(path, lambda reply: reply.status == 404)


def definition(plural: str, group: str, *versions: Json, **spec: Json) -> Json:
    """A CustomResourceDefinition whose last version is the stored one."""
    kind = plural[:-1].title()
    names = {"plural": plural, "singular": plural[:-1], "kind": kind, "listKind": f"{kind}List"}
    made = [{"served": True, "storage": index == len(versions) - 1, **v} for index, v in enumerate(versions)]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": made, **spec},
    }


def version(name: str, spec: Json, **rest: Json) -> Json:
    """A version whose spec has these properties."""
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": spec}}}
    return {"name": name, "schema": {"openAPIV3Schema": schema}, **rest}


def config_map(name: str, data: Json = None, **metadata: Json) -> Json:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data or {}}
