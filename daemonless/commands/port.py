"""`port`: show where the ports of containers are published."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def port(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CONTAINER [PORT[/PROTOCOL]]",
            help="The container, and one of its own ports to look up; tcp unless it says /udp.",
            autocompletion=complete.containers,
        ),
    ] = None,
    *,
    all: selection.All = False,
    latest: selection.Latest = False,
) -> None:
    """Show which of the host's ports lead to the ports of a container.

    With PORT, print the host's addresses alone; a port that is not published is an error.
    """
    perform(ctx)
