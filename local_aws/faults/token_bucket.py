"""EMR's limit on calls: a bucket of tokens that refills steadily up to its burst."""

from __future__ import annotations

from datetime import datetime


class TokenBucket:
    """Starts full. One call takes one token; without a whole one, the call is refused and takes none.

    :param burst: tokens in a full bucket
    :param refill_per_second: tokens that come back each second
    """

    def __init__(self, *, burst: int, refill_per_second: float, now: datetime) -> None:
        self._burst = burst
        self._refill_per_second = refill_per_second
        self._tokens = float(burst)
        self._filled_at = now

    def take(self, now: datetime) -> bool:
        passed_seconds = max(0.0, (now - self._filled_at).total_seconds())
        self._tokens = min(self._burst, self._tokens + passed_seconds * self._refill_per_second)
        self._filled_at = now
        # a thousand refills of 0.1 must still make a whole token
        if self._tokens < 1 - 1e-9:
            return False
        self._tokens -= 1
        return True
