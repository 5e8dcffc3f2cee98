"""The simulator is a process with one ready line, a configuration file, and a quiet end."""

import asyncio
import signal
import sys
from pathlib import Path

from switchboard.sandbox.twilio import Control

CONFIG = """
settings: {window_errors: answer}
accounts:
- sid: AC00000000000000000000000000000001
  auth_token: token
  numbers: [{phone_number: "+15005550006", sms_url: "https://old.example.com/sms"}]
  senders: [{phone_number: "+15005550006"}]
"""


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "switchboard.sandbox.twilio",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_it_says_when_it_is_ready_serves_its_file_s_accounts_and_ends_on_sigterm(tmp_path: Path) -> None:
    config = tmp_path / "twilio.yaml"
    config.write_text(CONFIG)
    process = await start("--port", "0", "--config", str(config))
    try:
        assert process.stdout is not None
        ready = (await process.stdout.readline()).decode()
        assert ready.startswith("twilio simulator ready on http://127.0.0.1:")
        async with Control(ready.split()[-1]) as control:
            account = await control.account("AC" + "0" * 31 + "1")
            assert [number.sms_url for number in account.numbers] == ["https://old.example.com/sms"]
    finally:
        process.send_signal(signal.SIGTERM)
        out, error = await process.communicate()
    assert (process.returncode, out, error) == (0, b"", b"")


async def test_a_wrong_file_is_told_by_its_field(tmp_path: Path) -> None:
    config = tmp_path / "twilio.yaml"
    config.write_text("accounts: [{numbers: [{phone_number: '123'}]}]")
    process = await start("--config", str(config))
    _, error = await process.communicate()
    assert process.returncode == 2
    assert b"accounts.0.numbers.0.phone_number" in error


async def test_a_taken_port_is_told() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with server:
        port = str(server.sockets[0].getsockname()[1])
        process = await start("--port", port)
        _, error = await process.communicate()
    assert process.returncode == 1
    assert error.startswith(b"--port " + port.encode())
