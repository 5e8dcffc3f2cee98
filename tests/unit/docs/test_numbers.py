"""Numbers that the documents repeat from the code."""

from __future__ import annotations

import inspect
from pathlib import Path

from switchboard.log.postgres import PostgresLog
from switchboard.log.postgres.connection import RECORDING

SIZING = Path(__file__).parents[3] / "docs" / "operations" / "sizing.md"


def test_the_connections_to_count_are_those_that_a_pod_opens() -> None:
    most = inspect.signature(PostgresLog).parameters["connections"].default
    text = " ".join(SIZING.read_text().split())
    assert f"at most {most}," in text
    assert f"count {most + RECORDING + 1} a pod" in text
