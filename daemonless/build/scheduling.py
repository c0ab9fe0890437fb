"""Stages side by side, in one process with one thread.

A stage is a generator. It yields a Job to have that done by a process of its own, and gets the
result back; or the number of another stage, to wait until that has ended. Nothing here knows what the
processes do.
"""

from __future__ import annotations

import os
import select

from daemonless.isolation.task import Task
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    Routine = Generator["Job | int", Any, None]

_CHUNK = 1 << 16


class Job(Record):
    """Work for a process; `start` is called, when there is room for one, with where it may print."""

    start: Callable[[int], Task]
    output: Callable[[bytes], None]  # takes what was printed, as it comes


class _Running:
    def __init__(self, routine: int, job: Job) -> None:
        self.routine = routine
        self.take = job.output
        self.output, write_end = os.pipe()
        os.set_blocking(self.output, False)
        try:
            self.task = job.start(write_end)
        except BaseException:
            os.close(self.output)
            raise
        finally:
            os.close(write_end)

    def read(self) -> bool:
        """Hand on some of what has been printed; return False if there is nothing, at the end or now."""
        try:
            data = os.read(self.output, _CHUNK)
        except BlockingIOError:
            return False
        if data:
            self.take(data)
        return bool(data)

    def finish(self) -> Any:
        """Return the result, after all that was printed; raises what the process raised."""
        try:
            return self.task.wait()
        finally:
            while self.read():  # all who could write have ended with the process
                pass
            os.close(self.output)
            self.output = -1

    def stop(self) -> None:
        self.task.stop()
        if self.output >= 0:
            os.close(self.output)


class Scheduler:
    """Runs routines until all have ended, with at most `limit` processes at a time."""

    def __init__(self, limit: int, tick: Callable[[], float] | None = None) -> None:
        """`tick` is called now and then and says after how many seconds it wants to be again."""
        self._limit = limit
        self._tick = tick
        self._poll = select.poll()
        self._running: dict[int, _Running] = {}  # by both of its descriptors
        self._queue: list[tuple[int, Job]] = []
        self._waiting: dict[int, list[int]] = {}  # who waits for a routine
        self._routines: dict[int, Routine] = {}
        self._busy = 0

    def run(self, routines: dict[int, Routine]) -> None:
        """Run them all; the first exception of one ends the others and is raised."""
        self._routines = dict(routines)
        try:
            for number in routines:
                self._resume(number, None)
            while self._routines:
                self._turn()
        finally:
            for running in set(self._running.values()):
                running.stop()
            for routine in self._routines.values():
                routine.close()

    def _resume(self, number: int, value: Any) -> None:
        """Let a routine go on until it wants something that is not there yet."""
        routine = self._routines[number]
        while True:
            try:
                wanted = routine.send(value)
            except StopIteration:
                del self._routines[number]
                for waiting in self._waiting.pop(number, ()):
                    self._resume(waiting, None)
                return
            if isinstance(wanted, Job):
                self._queue.append((number, wanted))
                self._fill()
                return
            if wanted in self._routines:
                self._waiting.setdefault(wanted, []).append(number)
                return
            value = None  # it has ended already

    def _fill(self) -> None:
        while self._queue and self._busy < self._limit:
            number, job = self._queue.pop(0)
            running = _Running(number, job)
            self._busy += 1
            for fd in (running.output, running.task.fileno()):
                self._running[fd] = running
                self._poll.register(fd, select.POLLIN)

    def _turn(self) -> None:
        seconds = self._tick() if self._tick else -1.0
        for fd, _ in self._poll.poll(seconds * 1000 if seconds >= 0 else None):
            running = self._running.get(fd)
            if running is None:  # it ended a moment ago
                continue
            if fd == running.output:
                if not running.read():
                    self._poll.unregister(fd)
                    del self._running[fd]
                continue
            self._end(running)

    def _end(self, running: _Running) -> None:
        for fd in (running.output, running.task.fileno()):
            if self._running.pop(fd, None):
                self._poll.unregister(fd)
        self._busy -= 1
        try:
            result = running.finish()
        except BaseException as error:
            self._throw(running.routine, error)
        else:
            self._resume(running.routine, result)
        self._fill()

    def _throw(self, number: int, error: BaseException) -> None:
        """Tell a routine that its job failed; it may say more about that, and ends."""
        self._routines[number].throw(error)
        raise error  # it must not go on
