"""`secret rm`: remove secrets."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform
from daemonless.commands.options.selection import SELECTION


def secret_rm(
    ctx: typer.Context,
    secrets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SECRET...",
            help="Secrets by name, ID or the beginning of an ID.",
            autocompletion=complete.secrets,
        ),
    ] = None,
    *,
    all: Annotated[
        bool, typer.Option("--all", "-a", help="Choose all secrets.", rich_help_panel=SELECTION)
    ] = False,
    ignore: Annotated[
        bool,
        typer.Option(
            "--ignore", "-i", help="Pass over secrets that do not exist.", rich_help_panel=SELECTION
        ),
    ] = False,
) -> None:
    """Remove secrets; a container that was given one keeps its copy."""
    perform(ctx)
