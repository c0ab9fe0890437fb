"""`logs`: show what a container printed."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def logs(
    ctx: typer.Context,
    container: selection.Container,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as the container prints, until it ends.")
    ] = False,
    tail: Annotated[
        str, typer.Option("--tail", metavar="NUMBER", help="Begin with this many last lines, or all.")
    ] = "all",
    timestamps: Annotated[
        bool, typer.Option("--timestamps", "-t", help="Put the time before each line.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Begin at this time, or this long ago, as in 10m."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="End at this time, or this long ago, as in 10m."),
    ] = None,
) -> None:
    """Print a container's log, its two output streams kept apart."""
    perform(ctx)
