"""What becomes of a container's health with each probe, and when the next one is due: docker's rules.

A container is `starting` until a probe succeeds (`healthy`) or `retries` in a row have failed
(`unhealthy`). A failure during the start period does not count as long as none has succeeded.
Pure: whoever asks says what time it is, in seconds of the monotonic clock.
"""

from __future__ import annotations

from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
NEVER = float("inf")
_KEPT = 5  # results in the log


class Plan(Record):
    """When to probe, and how much failure to bear; times in seconds."""

    interval: float = 30.0  # from the end of a probe to the next; 0: none unless somebody asks
    timeout: float = 30.0
    start_period: float = 0.0
    start_interval: float = 5.0  # the interval during the start period
    retries: int = 3


class Probed(Record):
    """The result of one probe; the times are those of files, `exit_code` is -1 if it had to be killed."""

    start: str
    end: str
    exit_code: int
    output: str


class Health:
    """The health of a container in one run."""

    def __init__(self, plan: Plan, now: float) -> None:
        self.status = STARTING
        self.streak = 0  # failures that count, since the last success
        self.log: list[Probed] = []
        self._plan = plan
        self._started = now
        self.due = NEVER  # when the next probe is to be made
        self.wait(now)

    def _is_lenient(self, moment: float) -> bool:
        return self.status == STARTING and moment - self._started < self._plan.start_period

    def wait(self, now: float) -> None:
        """Put off the next probe, the last one having ended or been left out now."""
        plan = self._plan
        if not plan.interval:
            self.due = NEVER
        elif self._is_lenient(now):
            self.due = min(now + plan.start_interval, self._started + plan.start_period)
        else:
            self.due = now + plan.interval

    def take(self, probed: Probed, began: float, now: float) -> bool:
        """Take the result of a probe that began and ended then; return whether the status changed."""
        before = self.status
        self.log = [*self.log, probed][-_KEPT:]
        if probed.exit_code == 0:
            self.status, self.streak = HEALTHY, 0
        elif not self._is_lenient(began):
            self.streak += 1
            if self.streak >= self._plan.retries:
                self.status = UNHEALTHY
        self.wait(now)
        return self.status != before

    def as_dict(self) -> dict[str, Any]:
        """Return the content of health.json; the log's keys are docker's."""
        log = [
            {"Start": each.start, "End": each.end, "ExitCode": each.exit_code, "Output": each.output}
            for each in self.log
        ]
        return {"schema": 1, "status": self.status, "failingStreak": self.streak, "log": log}
