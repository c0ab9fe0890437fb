"""`volume inspect`: everything about volumes."""

from __future__ import annotations

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection, volumes


def volume_inspect(
    ctx: typer.Context,
    volumes: volumes.Volumes = None,
    *,
    all: volumes.All = False,
    format: selection.Format = None,
) -> None:
    """Show everything about volumes, where their content is for instance."""
    perform(ctx)
