"""What tests of the data plane share: their present."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest


@pytest.fixture(autouse=True)
def present(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module's `NOW` is when its test runs: that may be many minutes after it was collected."""
    if hasattr(request.module, "NOW"):
        monkeypatch.setattr(request.module, "NOW", datetime.now(UTC))
