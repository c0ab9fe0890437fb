"""`logs`: show what containers printed."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def logs(
    ctx: typer.Context,
    containers: selection.Containers = None,
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
    details: Annotated[
        bool, typer.Option("--details", help="Put the tag, labels and env of --log-opt before each line.")
    ] = False,
    names: Annotated[
        bool, typer.Option("--names", "-n", help="Put the container's name before each line.")
    ] = False,
    color: Annotated[
        bool,
        typer.Option("--color", help="Give each container a colour; not if NO_COLOR is set."),
    ] = False,
    latest: selection.Latest = False,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Begin at this time, or this long ago, as in 10m."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="End at this time, or this long ago, as in 10m."),
    ] = None,
) -> None:
    """Print the logs of containers, their two output streams kept apart.

    The lines of several containers are in order of time.
    """
    perform(ctx)
