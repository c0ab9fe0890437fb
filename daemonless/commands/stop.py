"""`stop`: end containers gracefully."""

from __future__ import annotations

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection, timing


def stop(
    ctx: typer.Context,
    containers: selection.Containers = None,
    *,
    timeout: timing.StopTime = None,
    signal: timing.StopSignal = None,
    all: selection.All = False,
    latest: selection.Latest = False,
    filter: selection.Filter = None,
    cidfile: selection.Cidfile = None,
    ignore: selection.Ignore = False,
) -> None:
    """Stop running containers: ask with a signal, then kill.

    Each container is named on the standard output as it stops.
    """
    perform(ctx)
