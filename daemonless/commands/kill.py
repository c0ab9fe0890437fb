"""`kill`: send a signal to containers."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def kill(
    ctx: typer.Context,
    containers: selection.Containers = None,
    *,
    signal: Annotated[
        str,
        typer.Option(
            "--signal", "-s", metavar="SIGNAL", help="Send this signal: USR1, SIGUSR1, 10 or RTMIN+3."
        ),
    ] = "KILL",
    all: selection.All = False,
    latest: selection.Latest = False,
    cidfile: selection.Cidfile = None,
) -> None:
    """Send a signal to the main process of running containers."""
    perform(ctx)
