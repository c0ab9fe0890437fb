"""`rm`: remove containers."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection, timing


def rm(
    ctx: typer.Context,
    containers: selection.Containers = None,
    *,
    force: Annotated[
        bool,
        typer.Option("--force", "-f", help="Stop running containers first, and pass over missing ones."),
    ] = False,
    volumes: Annotated[
        bool,
        typer.Option("--volumes", "-v", help="Remove their anonymous volumes too."),
    ] = False,
    depend: Annotated[
        bool,
        typer.Option("--depend", help="Remove the containers that need them, or have their volumes, too."),
    ] = False,
    timeout: timing.StopTime = None,
    all: selection.All = False,
    latest: selection.Latest = False,
    filter: selection.FilterLong = None,
    cidfile: selection.Cidfile = None,
    ignore: selection.Ignore = False,
) -> None:
    """Remove containers, their files and their logs.

    The exit status is 1 for a container that does not exist and 2 for one that runs.
    """
    perform(ctx)
