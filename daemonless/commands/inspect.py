"""`inspect`: show everything about containers, images and volumes."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def inspect(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...",
            help="Containers, images or volumes, by name or ID.",
            autocompletion=complete.containers_or_images,
        ),
    ] = None,
    *,
    format: selection.Format = None,
    size: Annotated[
        bool,
        typer.Option("--size", "-s", help="Tell how much a container has written, and with its image."),
    ] = False,
    type: Annotated[
        Literal["all", "container", "image", "volume"],
        typer.Option("--type", "-t", help="Look for this kind of object only."),
    ] = "all",
    latest: selection.Latest = False,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            metavar="OS/ARCH/VARIANT",
            help="Look for images only; of a list of images, take the one for this platform.",
        ),
    ] = None,
) -> None:
    """Print what is known about containers, images or volumes, as JSON.

    A container's name comes first, then an image's, then a volume's. The exit status is 125 if
    there is no object of a name.
    """
    perform(ctx)
