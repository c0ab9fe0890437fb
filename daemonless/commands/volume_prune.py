"""`volume prune`: remove the volumes that no container uses."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection, volumes


def volume_prune(
    ctx: typer.Context,
    *,
    all: Annotated[
        bool,
        typer.Option(
            "--all",
            "-a",
            help="Remove named volumes too, as is the default.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = False,
    force: selection.Force = False,
    filter: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="KEY=VALUE",
            help=f"Remove only what matches {volumes.FILTERS}",
            rich_help_panel=selection.SELECTION,
        ),
    ] = None,
) -> None:
    """Remove the volumes that no container uses, named ones too, and print their names."""
    perform(ctx)
