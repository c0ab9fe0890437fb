"""`tag`: give an image further names."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform


def tag(
    ctx: typer.Context,
    image: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE",
            help="An image by name, ID or the beginning of its ID.",
            autocompletion=complete.images,
        ),
    ],
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="The names it gets.")],
) -> None:
    """Give an image further names.

    A name that another image has is taken from it.
    """
    perform(ctx)
