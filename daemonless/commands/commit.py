"""`commit`: an image of a container."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import imaging, selection


def commit(
    ctx: typer.Context,
    container: selection.Container,
    image: Annotated[
        str | None, typer.Argument(metavar="[IMAGE]", help="The name of the new image, with a tag.")
    ] = None,
    *,
    author: Annotated[
        str | None, typer.Option("--author", "-a", metavar="TEXT", help="Who made the image.")
    ] = None,
    message: imaging.Message = None,
    change: imaging.Change = None,
    format: Annotated[
        Literal["oci", "docker"],
        typer.Option("--format", "-f", help="The kind of manifest and config to write."),
    ] = "oci",
    iidfile: Annotated[
        str | None, typer.Option("--iidfile", metavar="FILE", help="Write the image's ID to this file.")
    ] = None,
    squash: Annotated[
        bool, typer.Option("--squash", "-s", help="Make an image of a single layer, with all files.")
    ] = False,
    pause: Annotated[
        bool, typer.Option("--pause/--no-pause", "-p", help="Pause the container meanwhile, if it runs.")
    ] = False,
    quiet: imaging.Quiet = False,
) -> None:
    """Make an image of a container's files and settings, and print its ID.

    It has the layers of the container's image and one more, with what `daemonless diff` shows.

    Volumes and other mounts are not part of it.
    """
    perform(ctx)
