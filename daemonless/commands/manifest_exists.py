"""`manifest exists`: ask whether there is a list of that name."""

from __future__ import annotations

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import manifests


def manifest_exists(
    ctx: typer.Context,
    list: manifests.List,
) -> None:
    """Exit with 0 if the list is stored here and with 1 if it is not; print nothing."""
    perform(ctx)
