"""What logs never say."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from aiohttp.http_exceptions import InvalidURLError

from switchboard.telemetry import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, ours = logging.getLogger(), logging.getLogger("switchboard")
    before = root.handlers[:], root.level, ours.level
    yield io.StringIO()
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+15005550006", "+1500•••06"),
        ("from whatsapp:+15005550006 to", "from whatsapp:+1500•••06 to"),
        ("To=whatsapp%3A%2B15005550006&x", "To=whatsapp%3A%2B1500•••06&x"),
        ("{'contact':+4915123456789}", "{'contact':+4915•••89}"),
        ("2026-11-22T12:00:00.123+01:00", "2026-11-22T12:00:00.123+01:00"),
        ("SM00000000000000000000000000000001", "SM00000000000000000000000000000001"),
    ],
)
def test_numbers_are_masked_in_whatever_form_they_come(text: str, shown: str) -> None:
    assert logs.mask(text) == shown


@pytest.mark.parametrize("form", ["json", "text"])
def test_numbers_are_masked_in_messages_fields_and_tracebacks(form: logs.Form, stream: io.StringIO) -> None:
    logs.configure("DEBUG", form, stream)
    try:
        int("whatsapp:+15005550006")
    except ValueError:
        logging.getLogger("switchboard.x").exception("of %s", "+15005550007", extra={"to": ["+15005550008"]})
    told = stream.getvalue()
    assert told.count("•••") == 4
    assert "+1500555" not in told


def test_libraries_tell_nothing_but_warnings_at_any_level(stream: io.StringIO) -> None:
    logs.configure("DEBUG", "json", stream)
    for name in ("openai._base_client", "anthropic", "mcp.client", "httpx2", "asyncpg", "kopf.objects"):
        logging.getLogger(name).info("what somebody wrote")
    logging.getLogger("openai").warning("a warning")
    logging.getLogger("switchboard.x").debug("ours")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["a warning", "ours"]


def test_requests_that_are_no_http_do_not_fill_the_log(stream: io.StringIO) -> None:
    logs.configure("INFO", "json", stream)
    error = InvalidURLError("x")
    logging.getLogger("aiohttp.server").error("Error handling request", exc_info=error)
    logging.getLogger("aiohttp.server").error("another")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["another"]
