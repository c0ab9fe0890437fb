"""`wait`: block until containers end."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def wait(
    ctx: typer.Context,
    containers: selection.Containers = None,
    *,
    ignore: Annotated[
        bool,
        typer.Option(
            "--ignore", help="Print -1 for containers that do not exist.", rich_help_panel=selection.SELECTION
        ),
    ] = False,
) -> None:
    """Wait until containers have ended and print the exit status of each."""
    perform(ctx)
