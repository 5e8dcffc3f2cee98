"""What the demo prints keeps within a terminal, and is whole elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from switchboard.sandbox.story import Story

HEADER = ["NAME", "STATE", "BODY"]
ROW = ["in-a9c13152f0b14f5f9d1c2859e2859e00", "Answered", "What are your hours on the days before a holiday?"]


@pytest.fixture(params=[80, 100, 132])
def terminal(request: pytest.FixtureRequest) -> tuple[Story, io.StringIO]:
    screen = io.StringIO()
    return Story(Console(file=screen, width=request.param, force_terminal=True, no_color=True)), screen


def _plain(screen: io.StringIO) -> list[str]:
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue()).splitlines()


def test_no_line_is_wider_than_the_terminal(terminal: tuple[Story, io.StringIO]) -> None:
    story, screen = terminal
    story.table(HEADER, [ROW])
    story.event("twilioconnector/production-sms", "WaitingForAgent", "The Agent support names this connector. " * 5)
    story.chat("+15005550006 on WhatsApp", "We are open 9 to 5, Monday to Friday. " * 5, reply=True)
    story.say("Type a message and press Enter. " * 6)
    lines = _plain(screen)
    assert len(lines) >= 6
    assert max(len(line) for line in lines) <= story.console.width


def test_a_shortened_name_keeps_its_beginning_and_its_end() -> None:
    screen = io.StringIO()
    Story(Console(file=screen, width=80, force_terminal=True, no_color=True)).table(HEADER, [ROW])
    name = _plain(screen)[1].split()[0]
    beginning, _, end = name.partition("…")
    assert end
    assert ROW[0].startswith(beginning)
    assert ROW[0].endswith(end)


def test_a_table_that_fits_is_as_kubectl_prints_it() -> None:
    screen = io.StringIO()
    Story(Console(file=screen, width=80, force_terminal=True, no_color=True)).table(["A", "BODY"], [["12", "x"]])
    assert _plain(screen) == ["  A    BODY", "  12   x"]


def test_commands_are_never_broken_so_that_they_can_be_copied() -> None:
    screen = io.StringIO()
    command = "export KUBECONFIG=/" + "folder/" * 20
    Story(Console(file=screen, width=80, force_terminal=True, no_color=True)).commands(command)
    assert _plain(screen) == [f"  {command}"]


def test_elsewhere_everything_is_whole_and_an_event_is_one_line() -> None:
    screen = io.StringIO()
    story = Story(Console(file=screen, width=80))
    story.table(HEADER, [ROW])
    story.event("agent/support", "Deploying", "support-v1 is being deployed: 0 of 1 pods are ready. " * 4)
    lines = screen.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[1].split("   ")[0].strip() == ROW[0]
    assert ROW[2] in lines[1]
