"""`unpause`: let paused containers go on."""

from __future__ import annotations

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def unpause(
    ctx: typer.Context,
    containers: selection.Containers = None,
    *,
    all: selection.All = False,
    latest: selection.Latest = False,
    filter: selection.Filter = None,
    cidfile: selection.Cidfile = None,
) -> None:
    """Let the processes of paused containers go on."""
    perform(ctx)
