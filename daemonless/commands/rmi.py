"""`rmi`: remove images."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def rmi(
    ctx: typer.Context,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE...",
            help="Images by name, ID or the beginning of an ID.",
            autocompletion=complete.images,
        ),
    ] = None,
    *,
    all: Annotated[
        bool,
        typer.Option("--all", "-a", help="Choose all images.", rich_help_panel=selection.SELECTION),
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            "-f",
            help="Remove an image with all its names and the containers that use it; pass over missing ones.",
        ),
    ] = False,
    ignore: Annotated[
        bool,
        typer.Option(
            "--ignore", "-i", help="Pass over images that do not exist.", rich_help_panel=selection.SELECTION
        ),
    ] = False,
    no_prune: Annotated[
        bool,
        typer.Option("--no-prune", help="Keep the nameless images that a removed one was built on."),
    ] = False,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            metavar="OS/ARCH/VARIANT",
            help="Remove the image for this platform only, from a list of images or by itself.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = None,
) -> None:
    """Remove images, or only a name of an image that has several.

    The exit status is 1 for an image that does not exist and 2 for one that a container uses.
    """
    perform(ctx)
