"""`secret ls`: list the secrets."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def secret_ls(
    ctx: typer.Context,
    *,
    filter: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            "-f",
            metavar="KEY=VALUE",
            help="List what matches id or name; repeatable.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = None,
    quiet: selection.Quiet = False,
    format: selection.FormatLines = None,
    noheading: selection.Noheading = False,
) -> None:
    """List the secrets."""
    perform(ctx)
