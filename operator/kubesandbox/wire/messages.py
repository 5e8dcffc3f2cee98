"""What goes over the wire: a request, an answer, a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote

import orjson

from kubesandbox.objects import Json

JSON = "application/json"


@dataclass(eq=False)
class HttpRequest:
    """One request, whole; header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    header_list: list[tuple[str, str]] = field(default_factory=list)
    too_large: bool = False

    def __post_init__(self) -> None:
        path, _, query = self.target.partition("?")
        self.raw_path = path
        self.path = unquote(path)
        self.query: dict[str, list[str]] = parse_qs(query, keep_blank_values=True) if query else {}

    def param(self, name: str) -> str | None:
        """A query parameter's first value."""
        values = self.query.get(name)
        return values[0] if values else None

    def header_values(self, name: str) -> list[str]:
        """All values of a header that may be repeated."""
        return [value for key, value in self.header_list if key == name]


@dataclass(eq=False)
class Answer:
    """A whole answer."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass(eq=False)
class Stream:
    """An answer that comes in pieces until the source or the client ends it."""

    chunks: AsyncIterator[bytes]
    status: int = 200
    content_type: str = JSON
    headers: list[tuple[str, str]] = field(default_factory=list)


def json_answer(status: int, body: Json, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer of JSON."""
    return Answer(status, orjson.dumps(body), headers=list((headers or {}).items()))


def text_answer(status: int, text: str) -> Answer:
    """An answer of plain text."""
    return Answer(status, text.encode(), content_type="text/plain; charset=utf-8")
