"""Pages of a collection, in the two forms of Twilio's APIs."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar
from urllib.parse import urlencode

from aiohttp import web

from switchboard.sandbox.twilio.errors import ApiError
from switchboard.sandbox.twilio.records import Json

_DEFAULT = 50
_MAX = 1000


class Record(Protocol):
    """What a collection holds."""

    sid: str


R = TypeVar("R", bound=Record)


class Page:
    """The part of `records` that a request asks for, rendered; the token of the next page names the last's SID."""

    def __init__(self, request: web.Request, records: Iterable[R], render: Callable[[R], Json]) -> None:
        items = list(records)
        query = request.query
        self.size = _integer(query.get("PageSize", str(_DEFAULT)), "PageSize", 1)
        self.number = _integer(query.get("Page", "0"), "Page", 0)
        self.size = min(self.size, _MAX)
        start = 0
        token = query.get("PageToken", "")
        if token:
            start = next((at for at, item in enumerate(items) if item.sid == token[2:]), len(items) - 1) + 1
        elif self.number:
            raise ApiError(400, 20006, "Page number out of range")
        self.start = self.number * self.size
        self.items = [render(item) for item in items[start : start + self.size]]
        self.more = start + self.size < len(items)
        self._path = request.path
        self._filters = [(k, v) for k, v in query.items() if k not in {"Page", "PageSize", "PageToken"}]

    def _url(self, page: int, token: str = "") -> str:
        query = [*self._filters, ("PageSize", str(self.size)), ("Page", str(page))]
        if token:
            query.append(("PageToken", token))
        return f"{self._path}?{urlencode(query)}"

    @property
    def following(self) -> str | None:
        return self._url(self.number + 1, "PA" + self.items[-1]["sid"]) if self.more else None

    def v2010(self, key: str) -> web.Response:
        """With relative URIs."""
        return web.json_response(
            {
                "first_page_uri": self._url(0),
                "end": self.start + max(len(self.items) - 1, 0),
                "previous_page_uri": self._url(self.number - 1) if self.number else None,
                key: self.items,
                "uri": self._url(self.number),
                "page_size": self.size,
                "start": self.start,
                "next_page_uri": self.following,
                "page": self.number,
            }
        )

    def meta(self, key: str, base_url: str) -> web.Response:
        """With absolute URLs, which name this simulator's own host: the SDK follows them."""
        following = self.following
        return web.json_response(
            {
                "meta": {
                    "page": self.number,
                    "page_size": self.size,
                    "first_page_url": base_url + self._url(0),
                    "previous_page_url": base_url + self._url(self.number - 1) if self.number else None,
                    "url": base_url + self._url(self.number),
                    "next_page_url": base_url + following if following else None,
                    "key": key,
                },
                key: self.items,
            }
        )


def _integer(value: str, name: str, least: int) -> int:
    if not value.isdigit() or int(value) < least:
        raise ApiError(400, 20001, f"Invalid value for {name}: {value}")
    return int(value)
