"""`switchboard webhook check`, which every pod waits for."""

from __future__ import annotations

import subprocess
import sys


def test_the_check_loads_no_http_library_and_no_client() -> None:
    code = (
        "import sys, switchboard.webhook.checking, switchboard.engines.script; "
        "print([m for m in ('aiohttp', 'kubernetes', 'twilio', 'asyncpg', 'prometheus_client') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
