"""`wait`: block until containers end."""

from __future__ import annotations

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def wait(
    ctx: typer.Context, containers: selection.Containers = None, *, latest: selection.Latest = False
) -> None:
    """Wait until containers have ended and print the exit status of each."""
    perform(ctx)
