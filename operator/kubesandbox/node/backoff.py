"""The kubelet's container back-off: at once, then 10 s, doubling up to 5 minutes, forgotten after 10 quiet minutes."""

import time
from dataclasses import dataclass

FIRST_SECONDS = 10.0
LONGEST_SECONDS = 300.0


@dataclass(slots=True)
class BackOff:
    """One container's. `scale` shortens every time alike (tests); `seconds` is the delay that is due now."""

    scale: float = 1.0
    seconds: float = 0.0
    _finished: float | None = None

    def finished(self, now: float | None = None) -> None:
        """The container ended: set the delay before its next start."""
        now = time.monotonic() if now is None else now
        quiet = self._finished is not None and now - self._finished > 2 * LONGEST_SECONDS * self.scale
        if self._finished is None or quiet:
            self.seconds = 0.0
        elif not self.seconds:
            self.seconds = FIRST_SECONDS * self.scale
        else:
            self.seconds = min(self.seconds * 2, LONGEST_SECONDS * self.scale)
        self._finished = now

    @property
    def text(self) -> str:
        """The delay as the kubelet writes it, unscaled: `10s`, `1m20s`, `5m0s`."""
        whole = round(self.seconds / self.scale)
        return f"{whole // 60}m{whole % 60}s" if whole >= 60 else f"{whole}s"
