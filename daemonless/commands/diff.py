"""`diff`: what a container has changed in its image's files, or an image in those it is based on."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def diff(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="CONTAINER|IMAGE",
            help="A container or an image, by name or ID.",
            autocompletion=complete.containers_or_images,
        ),
    ] = None,
    *,
    latest: selection.Latest = False,
    format: Annotated[
        Literal["json"] | None,
        typer.Option("--format", help="Print JSON.", rich_help_panel=selection.OUTPUT),
    ] = None,
    type: Annotated[
        Literal["all", "container", "image"],
        typer.Option("--type", "-t", help="Look for this kind of object only."),
    ] = "all",
) -> None:
    """List the files that a container has added (A), changed (C) or deleted (D).

    Of an image these are the changes of its last layer. A name that is both is a container.
    """
    perform(ctx)
