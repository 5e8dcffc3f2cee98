"""The command `switchboard`."""

from switchboard.cli.main import main

__all__ = ["main"]
