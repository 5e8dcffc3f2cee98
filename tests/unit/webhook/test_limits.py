"""The token bucket."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from switchboard.webhook.limits import RateLimiter


def test_a_burst_is_taken_and_then_the_rate_holds() -> None:
    limiter = RateLimiter(burst=3, per_second=0.5)
    assert [limiter.take("ann", 0) for _ in range(4)] == [True, True, True, False]
    assert not limiter.take("ann", 1)
    assert limiter.take("ann", 2)
    assert not limiter.take("ann", 2)


def test_contacts_do_not_share_a_bucket() -> None:
    limiter = RateLimiter(burst=1, per_second=0.1)
    assert limiter.take("ann", 0)
    assert limiter.take("bob", 0)
    assert not limiter.take("ann", 0)


def test_the_memory_is_bounded_and_forgets_who_was_silent_longest() -> None:
    limiter = RateLimiter(burst=1, per_second=0, keys=2)
    for key in ("ann", "bob", "ann", "cid"):
        limiter.take(key, 0)
    assert len(limiter) == 2
    assert not limiter.take("ann", 0)
    assert limiter.take("bob", 0)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60))
def test_never_more_than_the_burst_and_the_rate_allow(times: list[float]) -> None:
    limiter = RateLimiter(burst=5, per_second=0.5)
    times.sort()
    taken = sum(limiter.take("ann", time) for time in times)
    assert taken <= 5 + 0.5 * (times[-1] - times[0])
    assert taken >= min(5, len(times))
