"""`system prune`: remove everything that nothing uses."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def system_prune(
    ctx: typer.Context,
    *,
    all: selection.AllImages = False,
    volumes: Annotated[
        bool,
        typer.Option(
            "--volumes",
            help="Remove the volumes that no container uses too.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = False,
    build: Annotated[
        bool,
        typer.Option("--build", help="As podman has it; what builds that were killed have left goes anyway."),
    ] = False,
    force: selection.Force = False,
    filter: selection.PruneFilter = None,
) -> None:
    """Remove containers that do not run, images without a name, and what only the build cache needs."""
    perform(ctx)
