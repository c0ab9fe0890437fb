"""`secret inspect`: everything about secrets but what they say."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def secret_inspect(
    ctx: typer.Context,
    secrets: Annotated[
        list[str],
        typer.Argument(
            metavar="SECRET...",
            help="Secrets by name, ID or the beginning of an ID.",
            autocompletion=complete.secrets,
        ),
    ],
    *,
    format: selection.Format = None,
    pretty: Annotated[
        bool, typer.Option("--pretty", help="Print it for people.", rich_help_panel=selection.OUTPUT)
    ] = False,
) -> None:
    """Show everything about secrets, except for their values."""
    perform(ctx)
