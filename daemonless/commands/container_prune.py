"""`container prune`: remove the containers that do not run."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def container_prune(
    ctx: typer.Context,
    *,
    force: selection.Force = False,
    filter: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="KEY=VALUE",
            help="Remove only what matches: until (made before), label or label!; repeatable.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = None,
) -> None:
    """Remove all containers that were created only or have ended, and print their IDs."""
    perform(ctx)
