"""`system reset`: remove everything."""

from __future__ import annotations

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def system_reset(ctx: typer.Context, *, force: selection.Force = False) -> None:
    """Remove all containers, images, volumes and secrets of this user, and begin anew.

    Credentials of `login` stay: `logout --all` removes those.
    """
    perform(ctx)
