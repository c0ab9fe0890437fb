"""`builder du`: what the build cache takes of the disk."""

from __future__ import annotations

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def builder_du(ctx: typer.Context, *, filter: selection.CacheFilter = None) -> None:
    """List what the build cache holds; sizes are without what images have anyway."""
    perform(ctx)
