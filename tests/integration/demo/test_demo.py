"""`make demo` from outside: what it shows, and that nothing of it is left however it ends."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest
from tests.integration.demo.running import Family, Piped, Terminal, command

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at in /proc, by pidfd"),
    pytest.mark.timeout(180),
]


def _nothing_is_left(family: Family, directory: Path) -> None:
    assert len(family.names) >= 5, f"cluster, warden, simulator, operator and a pod were to be seen: {family.names}"
    assert family.left() == []
    assert list((directory / "tmp").iterdir()) == []


async def test_without_a_terminal_it_shows_everything_and_exits_0(tmp_path: Path) -> None:
    demo = await Piped.start(tmp_path)
    await demo.until("kubectl get agents")
    family = Family(demo.pid)
    assert await demo.end() == 0
    said = demo.said
    assert re.search(r"twilioconnector/production-sms +Connected +\+15005550006 is connected to the Agent", said)
    assert "◀ +15005550006 on SMS       We are open 9 to 5, Monday to Friday." in said
    assert "◀ +15005550006 on WhatsApp  Order 1234 is on its way." in said
    tables = said.partition("kubectl get agents")[2]
    assert re.search(r"support +True +support-v1 +support-v1 +1/1", tables)
    assert re.search(r"support-v1 +support +Serving +1/1", tables)
    assert re.search(r"production-sms +\+15005550006 +Connected +support", tables)
    for channel, question in (("SMS", "What are your hours?"), ("WhatsApp", "Where is order 1234?")):
        conversation = re.search(rf"(c-\w+) +\+14155550100 +{channel} +support +2", tables)
        assert conversation, tables
        execution = rf"{conversation[1]}-1"
        assert re.search(rf"in-\w+ +Inbound +{channel} +Answered +{execution} +{re.escape(question)}", tables), tables
        assert re.search(rf"{execution}-1 +Outbound +{channel} +Sent +Delivered +{execution} +", tables), tables
        assert re.search(rf"{execution} +support +support-v1 +Succeeded", tables), tables
    assert "\x1b" not in said, "colours are for terminals"
    _nothing_is_left(family, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_with_all_that_it_started(tmp_path: Path, number: signal.Signals) -> None:
    demo = await Piped.start(tmp_path)
    await demo.until("Serving")
    family = Family(demo.pid)
    os.killpg(demo.pid, number)
    assert await demo.end() == 130
    assert "Traceback" not in demo.said
    _nothing_is_left(family, tmp_path)


async def test_killed_it_leaves_nothing_that_runs(tmp_path: Path) -> None:
    demo = await Piped.start(tmp_path)
    await demo.until("Serving")
    family = Family(demo.pid)
    os.kill(demo.pid, signal.SIGKILL)
    assert await demo.end() == -signal.SIGKILL
    _nothing_is_left(family, tmp_path)


@pytest.mark.parametrize(
    ("part", "name"),
    [("switchboard operator", "operator"), ("-m kubesandbox", "kubesandbox")],
)
async def test_a_part_that_dies_ends_it_with_the_reason(tmp_path: Path, part: str, name: str) -> None:
    demo = await Piped.start(tmp_path)
    await demo.until("kubectl apply -f examples/quickstart/")
    family = Family(demo.pid)
    os.kill(family.pid(part), signal.SIGKILL)
    assert await demo.end() == 1
    assert f"The demo stopped: {name} ended by itself (-9)" in demo.said
    assert f"Logs: {tmp_path / 'demo'}" in demo.said
    assert "Traceback" not in demo.said
    assert family.left() == []


async def test_a_cluster_that_does_not_start_is_the_reason(tmp_path: Path) -> None:
    (tmp_path / "kubesandbox").mkdir()
    (tmp_path / "kubesandbox" / "__init__.py").touch()
    (tmp_path / "kubesandbox" / "__main__.py").write_text("raise SystemExit('there is no port for me')")
    demo = await Piped.start(tmp_path, ["env", f"PYTHONPATH={tmp_path}", *command(tmp_path)])
    assert await demo.end() == 1
    assert "✗ a Kubernetes API and a node, embedded" in demo.said
    assert "there is no port for me" in demo.said
    assert "Traceback" not in demo.said


async def test_outside_a_checkout_it_says_so(tmp_path: Path) -> None:
    demo = await Piped.start(tmp_path, cwd=tmp_path)
    assert await demo.end() == 1
    assert "examples/quickstart is not here" in demo.said


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    demo = await Piped.start(tmp_path, command(tmp_path / "file"))
    assert await demo.end() == 1
    assert str(tmp_path / "file") in demo.said
    assert "Traceback" not in demo.said


def test_on_a_terminal_there_is_a_phone_on_both_channels(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.until("Now you")
    family = Family(terminal.pid)
    shown = terminal.until("ends the demo.")
    assert f"export KUBECONFIG={tmp_path / 'demo' / 'kubeconfig'}" in shown
    terminal.until("on SMS")
    terminal.type("hours?\n")
    assert "+15005550006 on SMS" in _plain(terminal.until("We are open 9 to 5"))
    terminal.type("/whatsapp\n")
    terminal.until("+14155550100 on WhatsApp")
    terminal.type("order 77\n")
    assert "+15005550006 on WhatsApp" in _plain(terminal.until("Order 77 is on its way."))
    terminal.type("/sms\n")
    terminal.until("+14155550100 on SMS")
    terminal.type("order 8\n")
    assert "+15005550006 on SMS" in _plain(terminal.until("Order 8 is on its way."))
    terminal.type("/help\n")
    terminal.until("/quit")
    terminal.type("/quit\n")
    assert terminal.end() == 0
    _nothing_is_left(family, tmp_path)


def test_an_interrupt_at_the_phone_ends_the_demo(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.until("ends the demo.")
    terminal.until("on SMS")
    family = Family(terminal.pid)
    terminal.type("\x03")
    assert terminal.end() == 0
    assert "Traceback" not in terminal.said
    _nothing_is_left(family, tmp_path)


def test_a_terminal_that_goes_away_takes_the_demo_along(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.until("ends the demo.")
    family = Family(terminal.pid)
    terminal.hang_up()
    terminal.end()
    _nothing_is_left(family, tmp_path)


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
