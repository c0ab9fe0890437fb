"""`pause`: stop the processes of containers for a while."""

from __future__ import annotations

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def pause(
    ctx: typer.Context,
    containers: selection.Containers = None,
    *,
    all: selection.All = False,
    latest: selection.Latest = False,
    filter: selection.Filter = None,
    cidfile: selection.Cidfile = None,
) -> None:
    """Stop all processes of running containers until `unpause`.

    The container's cgroup is frozen; where there is none of its own, its processes get SIGSTOP.
    """
    perform(ctx)
