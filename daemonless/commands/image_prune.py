"""`image prune`: remove the images that nothing uses."""

from __future__ import annotations

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def image_prune(
    ctx: typer.Context,
    *,
    all: selection.AllImages = False,
    force: selection.Force = False,
    filter: selection.PruneFilter = None,
) -> None:
    """Remove the images without a name that no container uses, and print their IDs.

    Files that no image needs, such as what a killed pull has left, are removed too.
    """
    perform(ctx)
