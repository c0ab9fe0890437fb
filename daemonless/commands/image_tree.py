"""`image tree`: the layers of an image."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import images


def image_tree(
    ctx: typer.Context,
    image: images.Image,
    *,
    whatrequires: Annotated[
        bool, typer.Option("--whatrequires", help="Show the images built on it instead of its layers.")
    ] = False,
) -> None:
    """Show the layers of an image, the lowest first, and which images end with each."""
    perform(ctx)
