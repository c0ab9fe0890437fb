"""`history`: how an image came about."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import images, selection


def history(
    ctx: typer.Context,
    image: images.Image,
    *,
    human: Annotated[
        bool,
        typer.Option(
            "--human/--no-human",
            "-H",
            help="Print times as ages and sizes in units.",
            rich_help_panel=selection.OUTPUT,
        ),
    ] = True,
    quiet: selection.Quiet = False,
    no_trunc: selection.NoTrunc = False,
    format: selection.FormatLines = None,
    platform: images.Platform = None,
) -> None:
    """Show the steps that an image was made in, the newest first, with what each added in size.

    A step has an ID if it ends with an image of this machine.
    """
    perform(ctx)
