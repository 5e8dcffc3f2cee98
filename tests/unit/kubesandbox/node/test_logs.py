"""Log files and reading them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubesandbox.node import logs
from kubesandbox.node.logs import LogFile, LogQuery


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogFile]:
    opened = LogFile(tmp_path / "c" / "0.log")
    yield opened
    opened.close()


async def lines(log: LogFile, **query: object) -> bytes:
    return b"".join([line async for line in logs.read(log, LogQuery(**query))])  # type: ignore[arg-type]


async def test_chunks_become_lines_and_an_unfinished_one_is_kept_to_the_end(log: LogFile) -> None:
    log.write("stdout", b"on")
    log.write("stderr", b"err\n")
    log.write("stdout", b"e\ntw")
    assert await lines(log) == b"err\none\n"
    log.write("stdout", b"")
    assert await lines(log, stream="stdout") == b"one\ntw\n"


async def test_following_gives_what_comes_and_ends_with_the_container(log: LogFile) -> None:
    log.write("stdout", b"a\nb\n")
    reading = asyncio.create_task(lines(log, follow=True, tail_lines=1))
    for text in (b"c\n", b"d\n"):
        await asyncio.sleep(0)
        log.write("stdout", text)
    log.close()
    assert await reading == b"b\nc\nd\n"


async def test_a_long_log_is_rotated_and_following_goes_on(log: LogFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "ROTATE_BYTES", 200)
    log.write("stdout", b"first\n")
    reading = asyncio.create_task(lines(log, follow=True))
    await asyncio.sleep(0)
    for number in range(20):
        log.write("stdout", f"{number}\n".encode())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    log.close()
    followed = (await reading).split()
    assert followed == [b"first", *[str(number).encode() for number in range(20)]]
    assert len(await lines(log)) < len(b"".join(followed)) + 21
    kept = sum(p.stat().st_size for p in log.path.parent.iterdir())
    assert kept < 600


async def test_limits_count_bytes_with_their_times(log: LogFile) -> None:
    log.write("stdout", b"hello\n")
    assert await lines(log, limit_bytes=3) == b"hel"
    assert await lines(log, since="2100-01-01T00:00:00.000000000Z") == b""
    assert (await lines(log, timestamps=True)).endswith(b"Z hello\n")
