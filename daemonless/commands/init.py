"""`init`: set containers up without starting them."""

from __future__ import annotations

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def init(
    ctx: typer.Context,
    containers: selection.Containers = None,
    *,
    all: selection.All = False,
    latest: selection.Latest = False,
) -> None:
    """Set containers up: namespaces, mounts and network are there, the command waits for `start`."""
    perform(ctx)
