"""`inspect`: show everything about containers and images."""

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
            help="Containers or images, by name or ID.",
            autocompletion=complete.containers_or_images,
        ),
    ] = None,
    *,
    format: selection.Format = None,
    type: Annotated[
        Literal["all", "container", "image"],
        typer.Option("--type", "-t", help="Look for this kind of object only."),
    ] = "all",
) -> None:
    """Print what is known about containers or images, as JSON.

    A name that is both is a container. A name that is neither makes the exit status 125.
    """
    perform(ctx)
