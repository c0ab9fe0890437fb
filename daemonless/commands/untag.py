"""`untag`: take names away from an image."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform
from daemonless.commands.options import images


def untag(
    ctx: typer.Context,
    image: images.Image,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...", help="The names to take; without any, all.", autocompletion=complete.images
        ),
    ] = None,
) -> None:
    """Take names away from an image, all of them if none is given.

    The image stays; one without a name is listed as <none> until it is removed or pruned.
    """
    perform(ctx)
