"""`restart`: end containers and start them again."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection, timing


def restart(
    ctx: typer.Context,
    containers: selection.Containers = None,
    *,
    timeout: timing.StopTime = None,
    signal: timing.StopSignal = None,
    running: Annotated[
        bool,
        typer.Option("--running", help="Leave alone what does not run.", rich_help_panel=selection.SELECTION),
    ] = False,
    all: selection.All = False,
    latest: selection.Latest = False,
    filter: selection.Filter = None,
    cidfile: selection.Cidfile = None,
) -> None:
    """Stop containers and start them again; those that do not run are started.

    Each container is named on the standard output as it runs again.
    """
    perform(ctx)
