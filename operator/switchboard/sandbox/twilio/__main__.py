"""`python -m switchboard.sandbox.twilio --port N [--config FILE]`: the simulator as a process, with one ready line."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import yaml
from pydantic import ValidationError

from switchboard.sandbox.twilio.control_models import Config
from switchboard.sandbox.twilio.server import TwilioSimulator


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m switchboard.sandbox.twilio", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--config", type=Path, help="accounts and settings, YAML or JSON")
    arguments = parser.parse_args()
    try:
        config = (
            Config.model_validate(yaml.safe_load(arguments.config.read_text()) or {}) if arguments.config else Config()
        )
    except (OSError, yaml.YAMLError, ValidationError) as error:
        print(f"--config: {error}", file=sys.stderr)
        return 2
    return asyncio.run(_serve(arguments.host, arguments.port, config))


async def _serve(host: str, port: int, config: Config) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    try:
        async with TwilioSimulator(host=host, port=port, config=config) as simulator:
            print(f"twilio simulator ready on {simulator.url}", flush=True)
            await stop.wait()
    except OSError as error:
        print(f"--port {port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
