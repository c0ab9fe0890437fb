"""The health checks of a container for its supervisor: what is executed, how often, and how it is entered."""

from __future__ import annotations

from daemonless.config import Paths
from daemonless.containers.exec import ExecRequest, exec_in
from daemonless.containers.request import Health
from daemonless.containers.store import Container
from daemonless.errors import Conflict, NotFound
from daemonless.files import unlink_if_there
from daemonless.supervisor import protocol
from daemonless.supervisor.health import Plan
from daemonless.supervisor.probes import Check, Checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SHELL = ("/bin/sh", "-c")


def checks(paths: Paths, container: Container, health: Health, event: Callable[..., None]) -> Checks:
    """Return the checks of a run that is about to start; the results of an earlier one are forgotten."""
    unlink_if_there(f"{container.run_directory}/{protocol.HEALTH_NAME}")
    request = ExecRequest(command=command(health))

    def enter(streams: tuple[int, int, int]) -> int | None:
        container.refresh()
        try:
            return exec_in(paths, container, request, streams).pid
        except (Conflict, NotFound):  # it is paused, or has ended
            return None

    def is_paused() -> bool:
        container.refresh()
        return container.is_paused

    check = Check(plan=plan(health), on_failure=health.on_failure, enter=enter, is_paused=is_paused)
    return Checks(check, event)


def command(health: Health) -> tuple[str, ...]:
    """Return the command of a check."""
    kind, *words = health.test
    return tuple(words) if kind == "CMD" else (*(health.shell or _SHELL), " ".join(words))


def plan(health: Health) -> Plan:
    """Return when to probe: what was asked for, else docker's defaults.

    Who sets no interval for the start period gets 5 seconds, or the usual interval if that is shorter.
    """
    values: dict[str, Any] = {
        name: nanoseconds / 1e9
        for name in ("interval", "timeout", "start_period", "start_interval")
        if (nanoseconds := getattr(health, name)) is not None
    }
    found = Plan(**values, **({} if health.retries is None else {"retries": health.retries}))
    if health.start_interval is None and found.interval:
        found = found.replace(start_interval=min(found.start_interval, found.interval))
    return found
