"""What the demo prints: steps with their time, and progress while one takes longer than a second."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence

from rich.console import Console
from rich.markup import escape


class Story:
    """Prints to a terminal in colour, to anything else as plain lines."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._start = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._start

    def title(self, text: str) -> None:
        """The heading of a part."""
        self.console.print(f"\n[bold]{escape(text)}[/bold]")

    def say(self, text: str) -> None:
        """A line of prose."""
        self.console.print(escape(text))

    def event(self, text: str, detail: str = "") -> None:
        """Something that happened, with the time since the beginning."""
        self.console.print(f"  [dim]{self.elapsed:5.1f}s[/dim]  {escape(text)}  [dim]{escape(detail)}[/dim]")

    def chat(self, who: str, text: str, *, reply: bool) -> None:
        """A text message, as a phone shows it."""
        arrow, colour = ("◀", "green") if reply else ("▶", "cyan")
        lines = text.splitlines() or [""]
        self.console.print(f"  [{colour}]{arrow} {escape(who)}[/{colour}]  {escape(lines[0])}")
        for line in lines[1:]:
            self.console.print(f"    {' ' * len(who)}  {escape(line)}")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns as kubectl prints them: three blanks apart."""
        widths = [max(len(cell) for cell in column) for column in zip(header, *rows, strict=True)]
        for index, row in enumerate([header, *rows]):
            line = "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            self.console.print(f"  [bold]{escape(line)}[/bold]" if index == 0 else f"  {escape(line)}")

    @contextlib.asynccontextmanager
    async def step(self, text: str) -> AsyncIterator[None]:
        """Does what stands in its body, and says how long it took; says that it goes on after each second or so."""
        began = time.monotonic()
        watcher = asyncio.create_task(self._progress(text))
        try:
            yield
        except BaseException:
            self.console.print(f"[red]✗[/red] {escape(text)}")
            raise
        finally:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
        self.console.print(f"[green]✓[/green] {escape(text)} [dim]{time.monotonic() - began:.1f}s[/dim]")

    async def _progress(self, text: str) -> None:
        await asyncio.sleep(1)
        if self.console.is_terminal:
            with self.console.status(f"{escape(text)} …"):
                await asyncio.Event().wait()
        began = time.monotonic() - 1
        pause = 1.0
        while True:
            self.console.print(f"  … {escape(text)}: {time.monotonic() - began:.0f}s")
            pause = min(pause * 2, 10)
            await asyncio.sleep(pause)
