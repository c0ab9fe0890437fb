"""`image exists`: ask whether there is an image of that name."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform


def image_exists(
    ctx: typer.Context,
    image: Annotated[
        str,
        typer.Argument(metavar="IMAGE", help="The image's name or ID.", autocompletion=complete.images),
    ],
) -> None:
    """Exit with 0 if the image is stored here and with 1 if it is not; print nothing."""
    perform(ctx)
