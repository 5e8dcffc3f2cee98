"""A phone to type into: texts on SMS or WhatsApp, and shows what comes back."""

from __future__ import annotations

import asyncio
import sys

from switchboard.api.meta import Channel
from switchboard.sandbox.story import Story
from switchboard.sandbox.twilio.control import SimulatorControl
from switchboard.sandbox.twilio.control_models import InboxItem

CHANNELS: tuple[Channel, ...] = ("SMS", "WhatsApp")
HELP = "Type a message and press Enter. /whatsapp and /sms change the channel, /quit ends the demo."


class Phone:
    """One person's phone, on both channels."""

    def __init__(self, control: SimulatorControl, number: str, story: Story) -> None:
        self.number = number
        self.channel: Channel = "SMS"
        self._control = control
        self._story = story

    async def ask(self, to: str, text: str, channel: Channel, timeout: float = 20) -> str:  # noqa: ASYNC109
        """Sends a text and waits for the answer.

        Raises:
            TimeoutError: no answer within `timeout` seconds.
        """
        seen = await self._control.inbox(self.number, channel=channel)
        self._story.chat(f"{self.number} on {channel}", text, reply=False)
        await self._control.text(self.number, to, text, channel=channel)
        answer = await self._control.next_message(self.number, channel=channel, after=seen.next, timeout=timeout)
        self._show(answer, channel)
        return answer.body

    async def converse(self, to: str) -> None:
        """Reads lines from the terminal until /quit or its end, and prints all that comes in."""
        self._story.say(HELP)
        showing = [asyncio.create_task(self._follow(channel)) for channel in CHANNELS]
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
            for task in showing:
                task.cancel()
            await asyncio.gather(*showing, return_exceptions=True)

    def _show(self, message: InboxItem, channel: Channel) -> None:
        self._story.chat(f"{message.sender.removeprefix('whatsapp:')} on {channel}", message.body, reply=True)

    async def _follow(self, channel: Channel) -> None:
        seen = (await self._control.inbox(self.number, channel=channel)).next
        while True:
            inbox = await self._control.inbox(self.number, channel=channel, after=seen, timeout=60)
            for message in inbox.items:
                self._show(message, channel)
            seen = inbox.next
