"""The phone of the demo: what is typed is sent, what comes in is shown."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from typing import Any

import pytest
from rich.console import Console

from switchboard.sandbox.phone import Phone
from switchboard.sandbox.story import Story
from switchboard.sandbox.twilio.control_models import InboxItem

PERSON, NUMBER = "+14155550100", "+15005550006"


class Network:
    """Instead of the simulator: every text is answered by its echo."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str, str]] = []
        self._inbox: list[InboxItem] = []
        self._came = asyncio.Event()

    async def text(self, sender: str, to: str, body: str, *, channel: Any) -> None:
        self.sent.append((sender, to, body, channel))
        self._inbox.append(
            InboxItem(
                index=len(self._inbox),
                message_sid=f"SM{len(self._inbox):032d}",
                channel=channel,
                sender=to,
                to=sender,
                body=f"echo {body}",
                media=[],
                time=0,
            )
        )
        self._came.set()

    async def inbox(self, number: str, *, after: int = 0, wait: bool = True) -> list[InboxItem]:
        while wait and len(self._inbox) <= after:
            self._came.clear()
            await self._came.wait()
        return self._inbox[after:]


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


async def _converse(network: Network, screen: io.StringIO, typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.write(writing, typed.encode())
    os.close(writing)
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        story = Story(Console(file=screen, width=80, highlight=False))
        async with asyncio.timeout(5):
            await Phone(network, PERSON, story).converse(NUMBER)  # type: ignore[arg-type]


async def test_lines_are_sent_on_the_channel_that_was_chosen_last(
    screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network()
    await _converse(network, screen, "hello\n\n/whatsapp\n  two words \n/sms\nlast\n", monkeypatch)
    assert network.sent == [
        (PERSON, NUMBER, "hello", "SMS"),
        (PERSON, NUMBER, "two words", "WhatsApp"),
        (PERSON, NUMBER, "last", "SMS"),
    ]


@pytest.mark.parametrize("word", ["/quit", "/exit"])
async def test_nothing_is_sent_after_quit(word: str, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network()
    await _converse(network, screen, f"one\n{word}\ntwo\n", monkeypatch)
    assert [body for _, _, body, _ in network.sent] == ["one"]


async def test_an_unknown_command_is_not_sent_and_the_help_is_shown(
    screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network()
    await _converse(network, screen, "/wat\n", monkeypatch)
    assert network.sent == []
    assert screen.getvalue().count("/whatsapp and /sms change the channel") == 2


async def test_a_question_without_an_answer_is_named(screen: io.StringIO) -> None:
    class Silent(Network):
        async def next_message(self, number: str, *, after: int, timeout: float) -> InboxItem:
            raise TimeoutError

    phone = Phone(Silent(), PERSON, Story(Console(file=screen)))  # type: ignore[arg-type]
    with pytest.raises(TimeoutError, match=r"'hours\?' was not answered on SMS within 20 s"):
        await phone.ask(NUMBER, "hours?", "SMS")
