"""A phone to type into: texts on SMS or WhatsApp, and shows what comes back."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator

from switchboard.api.meta import Channel
from switchboard.sandbox.story import Story
from switchboard.sandbox.twilio.control import Control
from switchboard.sandbox.twilio.control_models import InboxItem

HELP = "Type a message and press Enter. /whatsapp and /sms change the channel, /quit ends the demo."
_CHUNK = 4096


class Phone:
    """One person's phone, on both channels."""

    def __init__(self, control: Control, number: str, story: Story) -> None:
        self.number = number
        self.channel: Channel = "SMS"
        self._control = control
        self._story = story
        self._prompted = False

    async def ask(self, to: str, text: str, channel: Channel, timeout: float = 20) -> str:  # noqa: ASYNC109
        """Sends a text and waits for the answer.

        Raises:
            TimeoutError: no answer within `timeout` seconds; the message names the question.
        """
        seen = len(await self._control.inbox(self.number, wait=False))
        self._story.chat(f"{self.number} on {channel}", text, reply=False)
        await self._control.text(self.number, to, text, channel=channel)
        try:
            answer = await self._control.next_message(self.number, after=seen, timeout=timeout)
        except TimeoutError:
            raise TimeoutError(f"{text!r} was not answered on {channel} within {timeout:g} s") from None
        self._show(answer)
        return answer.body

    async def converse(self, to: str) -> None:
        """Reads lines from the terminal until /quit or its end, and prints all that comes in."""
        self._story.say(HELP + "\n")
        seen = len(await self._control.inbox(self.number, wait=False))
        doing = [asyncio.create_task(self._follow(seen)), asyncio.create_task(self._obey(to))]
        try:
            done, _ = await asyncio.wait(doing, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in doing:
                task.cancel()
            await asyncio.gather(*doing, return_exceptions=True)
            if self._prompted:
                self._story.say("")

    async def _obey(self, to: str) -> None:
        """Does what is typed until /quit or the end of the input."""
        self._prompt()
        async for text in _typed():
            self._prompted = False
            if text in {"/quit", "/exit"}:
                return
            await self._do(text, to)
            self._prompt()

    async def _do(self, text: str, to: str) -> None:
        match text:
            case "":
                pass
            case "/sms" | "/whatsapp":
                self.channel = "SMS" if text == "/sms" else "WhatsApp"
            case _ if text.startswith("/"):
                self._story.say(HELP)
            case _:
                await self._control.text(self.number, to, text, channel=self.channel)

    def _prompt(self) -> None:
        self._story.prompt(f"{self.number} on {self.channel}")
        self._prompted = True

    def _show(self, message: InboxItem) -> None:
        self._story.chat(f"{message.sender} on {message.channel}", message.body, reply=True)

    async def _follow(self, seen: int) -> None:
        while True:
            for message in await self._control.inbox(self.number, after=seen):
                seen += 1
                prompted = self._prompted
                if prompted:
                    self._story.unprompt()
                self._show(message)
                if prompted:
                    self._prompt()


async def _typed() -> AsyncIterator[str]:
    """Lines of standard input, until its end.

    It is read when there is something to read, and not made non-blocking: a terminal's input and output are one file,
    and who had the terminal before shares it.
    """
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes] = asyncio.Queue()
    file = sys.stdin.fileno()

    def read() -> None:
        try:
            chunk = os.read(file, _CHUNK)
        except OSError:  # the terminal is gone
            chunk = b""
        if not chunk:
            loop.remove_reader(file)
        chunks.put_nowait(chunk)

    loop.add_reader(file, read)
    rest = b""
    try:
        while chunk := await chunks.get():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace").strip()
    finally:
        loop.remove_reader(file)
