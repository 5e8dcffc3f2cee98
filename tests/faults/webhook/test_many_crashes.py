"""Processes and the database killed at random moments; the same as the bench, with fewer crashes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bench.crashes import FORGETFUL, Tally, World, run, told
from tests.integration.webhook.conftest import Databases
from tests.postgres import Server

pytestmark = pytest.mark.cluster

CRASHES = 12


@pytest.fixture
def forgetful() -> Iterator[Databases]:
    """A database that acknowledges what it has not written."""
    with Server(FORGETFUL) as server:
        yield Databases(server)


def expect_kept(tally: Tally, backend: str) -> None:
    print(told(tally, backend, 0))
    assert sum(tally.crashes.values()) == CRASHES
    assert tally.acknowledged >= CRASHES
    assert tally.answered > tally.acknowledged / 2
    assert tally.kept, told(tally, backend, 0)


@pytest.mark.long
async def test_with_a_database_random_crashes_lose_nothing_and_answer_nothing_twice(
    api_server: Path, simulator: str, databases: Databases, tmp_path: Path
) -> None:
    tally = await run(World(api_server, simulator, databases, tmp_path), CRASHES, seed=5, database=4)
    assert tally.crashes["PostgreSQL"] == CRASHES // 4
    expect_kept(tally, "postgres")


@pytest.mark.long
async def test_with_custom_resources_random_crashes_lose_nothing_and_answer_nothing_twice(
    api_server: Path, simulator: str, tmp_path: Path
) -> None:
    expect_kept(await run(World(api_server, simulator, None, tmp_path), CRASHES, seed=6), "resources")


async def test_a_database_that_acknowledges_before_it_writes_is_found_out(
    api_server: Path, simulator: str, forgetful: Databases, tmp_path: Path
) -> None:
    # Only what stands on the last page of the log is lost, and the first loss ends the run.
    tally = await run(World(api_server, simulator, forgetful, tmp_path), 50, seed=5, database=1)
    assert tally.lost > 0
    assert not tally.kept
