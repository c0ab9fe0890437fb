"""`volume rm`: remove volumes."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import timing, volumes


def volume_rm(
    ctx: typer.Context,
    volumes: volumes.Volumes = None,
    *,
    all: volumes.All = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", "-f", help="Remove the containers that use a volume first, and pass over missing ones."
        ),
    ] = False,
    timeout: timing.StopTime = None,
) -> None:
    """Remove volumes and what is in them.

    The exit status is 1 for a volume that does not exist and 2 for one that a container uses.
    """
    perform(ctx)
