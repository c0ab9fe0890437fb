"""`wait`: block until containers end, or are in another state."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def wait(
    ctx: typer.Context,
    containers: selection.Containers = None,
    *,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            "--condition",
            metavar="STATE",
            help="Wait for this state, or one of several: stopped, exited, running, healthy, unhealthy, "
            "paused, removing ...",
        ),
    ] = None,
    interval: Annotated[
        str,
        typer.Option(
            "--interval", "-i", metavar="TIME", help="Look this often for states other than stopped."
        ),
    ] = "250ms",
    ignore: Annotated[
        bool, typer.Option("--ignore", help="Print -1 for containers that do not exist.")
    ] = False,
    exit_first_match: Annotated[
        bool, typer.Option("--exit-first-match", help="Wait for one of the containers, whichever it is.")
    ] = False,
    latest: selection.Latest = False,
) -> None:
    """Wait until containers have ended and print the exit status of each.

    For other states than stopped and exited, -1 is printed. One that its policy restarts has not ended.
    """
    perform(ctx)
