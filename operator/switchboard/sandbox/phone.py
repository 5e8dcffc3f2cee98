"""A phone to type into: texts on SMS or WhatsApp, and shows what comes back."""

from __future__ import annotations

import asyncio
import sys

from switchboard.api.meta import Channel
from switchboard.sandbox.story import Story
from switchboard.sandbox.twilio.control import Control
from switchboard.sandbox.twilio.control_models import InboxItem

HELP = "Type a message and press Enter. /whatsapp and /sms change the channel, /quit ends the demo."


class Phone:
    """One person's phone, on both channels."""

    def __init__(self, control: Control, number: str, story: Story) -> None:
        self.number = number
        self.channel: Channel = "SMS"
        self._control = control
        self._story = story

    async def ask(self, to: str, text: str, channel: Channel, timeout: float = 20) -> str:  # noqa: ASYNC109
        """Sends a text and waits for the answer.

        Raises:
            TimeoutError: no answer within `timeout` seconds.
        """
        seen = len(await self._control.inbox(self.number, wait=False))
        self._story.chat(f"{self.number} on {channel}", text, reply=False)
        await self._control.text(self.number, to, text, channel=channel)
        answer = await self._control.next_message(self.number, after=seen, timeout=timeout)
        self._show(answer)
        return answer.body

    async def converse(self, to: str) -> None:
        """Reads lines from the terminal until /quit or its end, and prints all that comes in."""
        self._story.say(HELP)
        showing = asyncio.create_task(self._follow())
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        try:
            while line := await reader.readline():
                text = line.decode(errors="replace").strip()
                match text:
                    case "":
                        continue
                    case "/quit" | "/exit":
                        return
                    case "/sms" | "/whatsapp":
                        self.channel = "SMS" if text == "/sms" else "WhatsApp"
                        self._story.say(f"Now on {self.channel}.")
                    case _ if text.startswith("/"):
                        self._story.say(HELP)
                    case _:
                        await self._control.text(self.number, to, text, channel=self.channel)
        finally:
            transport.close()
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)

    def _show(self, message: InboxItem) -> None:
        self._story.chat(f"{message.sender} on {message.channel}", message.body, reply=True)

    async def _follow(self) -> None:
        seen = len(await self._control.inbox(self.number, wait=False))
        while True:
            for message in await self._control.inbox(self.number, after=seen):
                seen += 1
                self._show(message)
