"""How often, and after how long a wait, something is tried again with a registry."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from daemonless.record import Record

LATER = frozenset((408, 429, 500, 502, 503, 504))  # statuses after which another attempt may succeed
MAX_WAIT = 30.0  # seconds of Retry-After that are honoured; longer means "not today"


class Retry(Record):
    """`times` failures in a row are forgiven, each after `delay` seconds; None: 0.5, 1, 2 ..."""

    times: int = 3
    delay: float | None = None


class Attempts:
    """The failures in a row of one piece of work."""

    def __init__(self, retry: Retry, sleep: Callable[[float], None] = time.sleep) -> None:
        self._retry = retry
        self._sleep = sleep
        self._failures = 0

    def advanced(self) -> None:
        """Begin to count anew: what fails now and then, but gets on, may take as long as it takes."""
        self._failures = 0

    def again(self, retry_after: str = "") -> bool:
        """Count a failure; wait and return True, or return False if there were enough of them.

        `retry_after` is the header of that name, which decides how long the wait is.
        """
        self._failures += 1
        wait = _seconds(retry_after)
        if self._failures > self._retry.times or (wait or 0.0) > MAX_WAIT:
            return False
        if wait is None:
            wait = self._retry.delay
        self._sleep(0.25 * 2.0 ** min(self._failures, 6) if wait is None else wait)
        return True


def _seconds(retry_after: str) -> float | None:
    """Return what a Retry-After header asks for (RFC 9110 section 10.2.3), None if it says nothing."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None
