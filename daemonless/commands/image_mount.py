"""`image mount`: see the files of images as a directory."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import images as which
from daemonless.commands.options import selection


def image_mount(
    ctx: typer.Context,
    images: which.SomeImages = None,
    *,
    all: Annotated[
        bool, typer.Option("--all", "-a", help="Mount all images.", rich_help_panel=selection.SELECTION)
    ] = False,
    format: Annotated[
        Literal["json"] | None,
        typer.Option("--format", help="Print JSON.", rich_help_panel=selection.OUTPUT),
    ] = None,
) -> None:
    """Mount images to be read and print where; without a name, print which are mounted.

    Only in a session of daemonless unshare, which they end with: a user without privileges mounts in a
    user namespace. Nothing is removed from under it.
    """
    perform(ctx)
