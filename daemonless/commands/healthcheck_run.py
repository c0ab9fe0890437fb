"""`healthcheck run`: check a container's health now."""

from __future__ import annotations

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def healthcheck_run(ctx: typer.Context, container: selection.Container) -> None:
    """Check the health of a running container now, and count the result.

    The exit status is 0 if the check succeeds; if it fails it is 1, and `unhealthy` is printed.
    """
    perform(ctx)
