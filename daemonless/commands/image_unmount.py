"""`image unmount`: undo `image mount`."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import images as which
from daemonless.commands.options import selection


def image_unmount(
    ctx: typer.Context,
    images: which.SomeImages = None,
    *,
    all: Annotated[
        bool,
        typer.Option("--all", "-a", help="Unmount all images.", rich_help_panel=selection.SELECTION),
    ] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Unmount what is in use too.")] = False,
) -> None:
    """Unmount images that are mounted in this session, and print their IDs."""
    perform(ctx)
