"""`container prune`: remove the containers that do not run."""

from __future__ import annotations

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def container_prune(
    ctx: typer.Context,
    *,
    force: selection.Force = False,
    filter: selection.PruneFilter = None,
) -> None:
    """Remove all containers that were created only or have ended, and print their IDs."""
    perform(ctx)
