"""`image prune`: remove the images that nothing uses."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def image_prune(
    ctx: typer.Context,
    *,
    all: Annotated[
        bool,
        typer.Option(
            "--all",
            "-a",
            help="Remove all images that no container uses, with a name too.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = False,
    force: selection.Force = False,
    filter: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="KEY=VALUE",
            help="Remove only images that match: until (made before), label or label!; repeatable.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = None,
) -> None:
    """Remove the images without a name that no container uses, and print their IDs.

    Files that no image needs, such as what a killed pull has left, are removed too.
    """
    perform(ctx)
