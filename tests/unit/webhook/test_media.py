"""Files of a turn: bounded each and together, and a turn goes on without what cannot be had."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from switchboard.log.records import Attachment
from switchboard.providers.base import Media, MediaContent
from switchboard.providers.errors import MediaRefusedError, UnavailableError
from switchboard.webhook.media import Bounds, Fetcher


@dataclass
class Source:
    """Twilio's files by URL: bytes, an error, or no end."""

    files: dict[str, bytes | Exception | None]
    asked: list[tuple[str, int, Sequence[str]]] = field(default_factory=list)

    async def download(self, media: Media, *, max_bytes: int, types: Sequence[str] = ()) -> MediaContent:
        self.asked.append((media.url, max_bytes, types))
        found = self.files[media.url]
        if found is None:
            await asyncio.Event().wait()
        if isinstance(found, Exception):
            raise found
        content = cast("bytes", found)
        if len(content) > max_bytes:
            raise MediaRefusedError("too large", reason="MediaTooLarge")
        return MediaContent(content=content, content_type="image/png")


def attachments(*urls: str) -> list[Attachment]:
    return [Attachment(url, "image/jpeg") for url in urls]


async def test_all_files_of_a_turn_share_a_bound_and_each_has_its_own() -> None:
    source = Source({"a": b"123456", "b": b"12345678", "c": b"1234"})
    fetcher = Fetcher(cast("Any", source), Bounds(7, 10, ("image/*",), 5))
    first = await fetcher.fetch(attachments("a", "b"))
    second = await fetcher.fetch(attachments("c", "c"))
    assert source.asked == [
        ("a", 7, ("image/*",)),
        *[(url, 4, ("image/*",)) for url in ("b", "c")],
        ("c", 0, ("image/*",)),
    ]
    assert [(one.data, one.content_type) for one in [*first, *second]] == [
        (b"123456", "image/png"),
        (None, "image/jpeg"),
        (b"1234", "image/png"),
        (None, "image/jpeg"),
    ]


async def test_what_cannot_be_had_is_named_without_its_bytes_and_the_others_are_fetched() -> None:
    failed = UnavailableError("busy", reason="TwilioUnavailable")
    source = Source({"gone": failed, "endless": None, "there": b"1"})
    fetcher = Fetcher(cast("Any", source), Bounds(9, 9, (), 0.01))
    found = await fetcher.fetch(attachments("gone", "endless", "there"))
    assert [(one.url, one.data) for one in found] == [("gone", None), ("endless", None), ("there", b"1")]
