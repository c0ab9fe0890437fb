"""`builder prune`: remove what the build cache holds."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def builder_prune(
    ctx: typer.Context,
    *,
    all: Annotated[
        bool,
        typer.Option(
            "--all",
            "-a",
            help="Forget steps whose results images have, too.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = False,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="DURATION",
            help="Remove only what no build has used for so long, or since a time.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option(
            "--max-size",
            "--keep-storage",
            "--max-used-space",
            "--reserved-space",
            metavar="SIZE",
            help="Remove only what is more than this, beginning with what was not used for longest.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = None,
    filter: selection.CacheFilter = None,
    force: selection.Force = False,
) -> None:
    """Remove the results of build steps and the cache mounts that no image or container needs.

    Builds that are running keep what they use.
    """
    perform(ctx)
