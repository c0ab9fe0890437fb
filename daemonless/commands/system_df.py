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
            help="List every image, layer, container and volume.",
            rich_help_panel=selection.OUTPUT,
        ),
    ] = False,
    format: selection.FormatLines = None,
) -> None:
    """Show what images, containers and volumes take of the disk, and how much of it is reclaimable.

    Images count with what was transferred and what was unpacked, shared layers once.
    """
    perform(ctx)
