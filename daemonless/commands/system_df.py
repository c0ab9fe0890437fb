"""`system df`: the use of disk."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def system_df(
    ctx: typer.Context,
    *,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="List every image, layer, container, volume and part of the build cache.",
            rich_help_panel=selection.OUTPUT,
        ),
    ] = False,
    format: selection.FormatLines = None,
) -> None:
    """Show what images, containers, volumes and the build cache take of the disk, and what can be freed.

    Images count with what was transferred and what was unpacked, shared layers once.
    """
    perform(ctx)
