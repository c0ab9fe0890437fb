"""wait: block until containers have ended, or are in another state."""

from __future__ import annotations

import os
import time

from daemonless.actions.each import for_each, report
from daemonless.clock import duration
from daemonless.containers import ending
from daemonless.containers.store import Container, ContainerStore
from daemonless.errors import Conflict, DaemonlessError, NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from daemonless.actions.args import Args

ENDED = ("stopped", "exited")
HEALTH = ("healthy", "unhealthy")
CONDITIONS = (
    *ENDED,
    *HEALTH,
    *("created", "initialized", "paused", "removing", "restarting", "running", "stopping"),
)
_NOT_ENDED = "-1"  # in place of an exit status, as podman prints it


def main(args: Args) -> int:
    """Wait for each container, in the order given, and print its exit status."""
    store = ContainerStore(args.paths)
    conditions = _conditions(args.condition)
    seconds = _interval(args.interval)
    if args.latest and args.containers:
        raise UsageError("--latest and containers cannot be used together")
    names = (store.latest().id,) if args.latest else args.containers
    if not names:
        raise UsageError("you must provide at least one name or id", "name a container, or use --latest")

    def wait(name: str) -> str:
        try:
            container = store.find(name)
        except NotFound:
            if args.ignore:
                return _NOT_ENDED
            raise
        if not conditions - set(ENDED):
            return str(ending.wait(container))
        return _wait_for(container, conditions, seconds)

    if args.exit_first_match:
        return _first(names, wait)
    return for_each(names, wait)


def _first(names: Iterable[str], wait: Callable[[str], str]) -> int:
    """Print what one of the containers gives, whichever is the first; a child waits for each."""
    answers, theirs = os.pipe()
    children = []
    for name in names:
        if child := os.fork():
            children.append(child)
            continue
        try:
            os.write(theirs, wait(name).encode() + b"\n")
        except DaemonlessError as error:
            report(error)
        finally:
            os._exit(0)
    os.close(theirs)
    answer = os.read(answers, 100).partition(b"\n")[0].decode()
    for child in children:
        os.kill(child, 9)
        os.waitpid(child, 0)
    if answer:
        print(answer)
    return 0 if answer else 125


def _conditions(given: tuple[str, ...]) -> set[str]:
    found = {word for text in given for word in text.split(",")} or {"stopped"}
    for word in sorted(found.difference(CONDITIONS)):
        raise UsageError(
            f"invalid value for --condition, {word!r}: there is no such state",
            f"the states are {', '.join(sorted(CONDITIONS))}",
        )
    return found


def _interval(text: str) -> float:
    """Return the seconds between two looks; a number without a unit is in milliseconds."""
    nanoseconds = duration(f"{text}ms" if text.isdecimal() else text)
    if nanoseconds is None:
        raise UsageError(f"invalid value for --interval, {text!r}: write it like 500ms or 2s")
    return max(nanoseconds / 1e9, 0.001)


def _wait_for(container: Container, conditions: set[str], seconds: float) -> str:
    """Return the exit status, or -1 in a state that has none, once the container is in one of them.

    A state that lasts for less than `seconds` may pass unseen. Raises Conflict for a container that
    will not come to the health that is waited for: it has no health check, or it has ended.
    """
    only_health = not conditions - set(HEALTH)
    if only_health and not container.has_health_check:
        raise Conflict(f"container {container.name} has no health check", "it is set with --health-cmd")
    while True:
        container.refresh()
        status = container.status
        if not container.is_there:
            if "removing" in conditions:
                return _NOT_ENDED
            raise NotFound(f"container {container.id[:12]} was removed while it was waited for")
        if status == "exited" and conditions & set(ENDED):
            return str(container.exit_code)
        if status in conditions:
            return _NOT_ENDED
        if status == "running" and conditions & set(HEALTH):
            health = container.health
            if health and health["status"] in conditions:
                return _NOT_ENDED
        if status == "exited" and only_health:
            raise Conflict(f"container {container.name} has exited with {container.exit_code}")
        time.sleep(seconds)
