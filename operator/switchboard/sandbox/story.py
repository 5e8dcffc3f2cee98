"""What the demo prints: steps with their time, and progress while one takes longer than a second."""

from __future__ import annotations

import asyncio
import contextlib
import textwrap
import time
from collections.abc import AsyncIterator, Sequence

from rich.console import Console
from rich.control import Control
from rich.markup import escape
from rich.segment import ControlType

NAME_WIDTH = 32
"""Of an object in the list of what happened."""
WHO_WIDTH = len("+14155550100 on WhatsApp")
SMALLEST_COLUMN = 8


class Story:
    """Prints to a terminal in colour and within its width, to anything else as plain lines of any length."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._start = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._start

    @property
    def width(self) -> int | None:
        """The terminal's columns; None where lines may have any length."""
        return self.console.width if self.console.is_terminal else None

    def title(self, text: str) -> None:
        """The heading of a part."""
        self._print(f"\n[bold]{escape(text)}[/bold]")

    def say(self, text: str) -> None:
        """Prose."""
        self.console.print(escape(text), soft_wrap=self.width is None)

    def commands(self, *lines: str) -> None:
        """What is there to be copied: never broken into lines of a terminal's width."""
        for line in lines:
            self._print(f"  {escape(line)}")

    def event(self, what: str, state: str, detail: str = "", *, good: bool = False) -> None:
        """Something that happened, with the time since the beginning; what it means stands below on a terminal."""
        colour = "green" if good else "default"
        line = f"  [dim]{self.elapsed:5.1f}s[/dim]  {escape(what):<{NAME_WIDTH}}  [{colour}]{escape(state)}[/{colour}]"
        if self.width is None:
            self._print(f"{line}  {escape(detail)}".rstrip())
            return
        self._print(line)
        for part in textwrap.wrap(detail, max(self.width - 10, 20)):
            self._print(f"          [dim]{escape(part)}[/dim]")

    def chat(self, who: str, text: str, *, reply: bool) -> None:
        """A text message, as a phone shows it."""
        lines = text.splitlines() or [""]
        if self.width is not None:
            room = max(self.width - WHO_WIDTH - 6, 20)
            lines = [part for line in lines for part in textwrap.wrap(line, room) or [""]]
        self._print(_speaker(who, reply=reply) + escape(lines[0]))
        for line in lines[1:]:
            self._print(f"    {' ' * WHO_WIDTH}  {escape(line)}")

    def prompt(self, who: str) -> None:
        """Where the person types: the beginning of a text message's line."""
        self.console.print(_speaker(who, reply=False), end="")

    def unprompt(self) -> None:
        """Takes the line of the prompt away, for something that must be said before it is answered."""
        self.console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns as kubectl prints them; on a terminal that is too narrow, the widest cells are shortened."""
        widths = [max(len(cell) for cell in column) for column in zip(header, *rows, strict=True)]
        gap = 3
        if self.width is not None and sum(widths) + gap * (len(widths) - 1) + 2 > self.width:
            gap = 2
            widths = _fitting(widths, self.width - gap * (len(widths) - 1) - 2)
        for index, row in enumerate([header, *rows]):
            cells = (_shortened(cell, width).ljust(width) for cell, width in zip(row, widths, strict=True))
            line = escape((" " * gap).join(cells).rstrip())
            self._print(f"  [bold]{line}[/bold]" if index == 0 else f"  {line}")

    @contextlib.asynccontextmanager
    async def step(self, text: str) -> AsyncIterator[None]:
        """Does what stands in its body, and says how long it took; says that it goes on after each second or so."""
        began = time.monotonic()
        watcher = asyncio.create_task(self._progress(text))
        failed = True
        try:
            yield
            failed = False
        finally:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
            if failed:
                self._print(f"[red]✗[/red] {escape(text)}")
        self._print(f"[green]✓[/green] {escape(text)} [dim]{time.monotonic() - began:.1f}s[/dim]")

    def _print(self, markup: str) -> None:
        self.console.print(markup, soft_wrap=True)

    async def _progress(self, text: str) -> None:
        await asyncio.sleep(1)
        if self.console.is_terminal:
            with self.console.status(f"{escape(text)} …"):
                await asyncio.Event().wait()
        began = time.monotonic() - 1
        pause = 1.0
        while True:
            self._print(f"  … {escape(text)}: {time.monotonic() - began:.0f}s")
            pause = min(pause * 2, 10)
            await asyncio.sleep(pause)


def _speaker(who: str, *, reply: bool) -> str:
    arrow, colour = ("◀", "green") if reply else ("▶", "cyan")
    return f"  [{colour}]{arrow} {escape(who):<{WHO_WIDTH}}[/{colour}]  "


def _fitting(widths: Sequence[int], room: int) -> list[int]:
    """Widths of at most `room` together, where that can be had by shortening the widest columns."""
    fitting = list(widths)
    while sum(fitting) > room and max(fitting) > SMALLEST_COLUMN:
        fitting[fitting.index(max(fitting))] -= 1
    return fitting


def _shortened(cell: str, width: int) -> str:
    """A cell without its middle: names begin with what they are and end with what tells them apart."""
    if len(cell) <= width:
        return cell
    tail = (width - 1) // 3
    return f"{cell[: width - 1 - tail]}…{cell[len(cell) - tail :]}"
