"""`volume ls`: list the volumes."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection, volumes


def volume_ls(
    ctx: typer.Context,
    *,
    filter: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            "-f",
            metavar="KEY=VALUE",
            help=f"List what matches {volumes.FILTERS}",
            rich_help_panel=selection.SELECTION,
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only names.", rich_help_panel=selection.OUTPUT)
    ] = False,
    format: selection.FormatLines = None,
    noheading: selection.Noheading = False,
) -> None:
    """List the volumes."""
    perform(ctx)
