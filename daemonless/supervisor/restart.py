"""When a container that has ended is started again: its policy, and how long to wait before."""

from __future__ import annotations

from daemonless.record import Record

_FIRST, _LONGEST = 0.1, 60.0  # seconds
_STABLE = 10.0  # seconds; who ran as long starts over with the shortest wait


class BackOff:
    """The wait before each restart: doubled every time, until a run was long enough to count as good."""

    def __init__(self) -> None:
        self._next = _FIRST

    def delay(self, ran: float) -> float:
        """Return the seconds to wait after a run of `ran` seconds."""
        if ran >= _STABLE:
            self._next = _FIRST
        delay = self._next
        self._next = min(2 * delay, _LONGEST)
        return delay


class Policy(Record):
    """A restart policy in docker's and podman's words."""

    name: str  # on-failure, always or unless-stopped
    retries: int = 0  # on-failure gives up after so many restarts; 0: never

    def applies(self, code: int, restarts: int) -> bool:
        """Whether to restart after exit status `code`, having done so `restarts` times.

        A container that a person stopped is never restarted; that is not asked here.
        """
        if self.name == "on-failure":
            return code != 0 and (not self.retries or restarts < self.retries)
        return True

    def back_off(self) -> BackOff:
        """Return the waits between the runs of one life."""
        return BackOff()
