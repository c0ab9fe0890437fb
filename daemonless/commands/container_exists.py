"""`container exists`: ask whether there is a container of that name."""

from __future__ import annotations

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def container_exists(ctx: typer.Context, container: selection.Container) -> None:
    """Exit with 0 if the container exists and with 1 if it does not; print nothing."""
    perform(ctx)
