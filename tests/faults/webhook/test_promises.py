"""How the fault tests judge: what they excuse, and nothing besides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.faults.webhook.promises import TOLD, Answer, attempt_of, late, told_in_doubt

RECEIVED = ["m-1", "m-2", "m-3"]


def taken(*numbers: int) -> list[Answer]:
    return [Answer(f"m-{number}", f"c-0-{number}-1.1") for number in numbers]


@pytest.mark.parametrize(
    ("order", "doubted", "wrong"),
    [
        ((1, 2, 3), set(), 0),
        ((2, 3), set(), 0),
        ((2, 1, 3), set(), 1),
        ((2, 1, 3), {"c-0-1-1.1"}, 0),
        ((2, 3, 1), {"c-0-1-1.1"}, 0),
        ((2, 1, 3), {"c-0-2-1.1"}, 1),
        ((2, 1, 3), {"c-0-3-1.1"}, 1),
        ((3, 2, 1), {"c-0-1-1.1"}, 1),
        ((2, 1, 3), {"c-0-1-1.2"}, 1),
    ],
)
def test_only_an_attempt_that_was_told_as_in_doubt_may_be_late(
    order: tuple[int, ...], doubted: set[str], wrong: int
) -> None:
    assert late(taken(*order), RECEIVED, doubted) == wrong


def test_what_pods_told_is_read_from_the_logs_of_the_dead_too(tmp_path: Path) -> None:
    line = json.dumps({"message": TOLD, "attempt": "c-0-1-1.1"})
    other = json.dumps({"message": "reply sent", "attempt": "c-0-2-1.1"})
    (tmp_path / "one.log").write_text(f"Traceback\n{other}\n{line}\n{line[:-5]}")
    (tmp_path / "two.log").write_text(line.replace("c-0-1", "c-0-3"))
    assert told_in_doubt(tmp_path) == {"c-0-1-1.1", "c-0-3-1.1"}


def test_a_status_callback_names_its_attempt() -> None:
    assert attempt_of("https://example.com/twilio/acme/sms/status/c-0-1-1.1#rc=5") == "c-0-1-1.1"
