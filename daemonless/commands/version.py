"""`version`: what runs here."""

from __future__ import annotations

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def version(ctx: typer.Context, *, format: selection.Format = None) -> None:
    """Print the version of daemonless and of the Python and kernel below it."""
    perform(ctx)
