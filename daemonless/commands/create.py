"""`create`: what `run` does before it starts the container."""

from __future__ import annotations

from typing import Any

import typer

from daemonless.commands.derive import same_parameters
from daemonless.commands.invoke import perform
from daemonless.commands.run import run


@same_parameters(
    run, without=("detach", "detach_keys", "pidfile", "preserve_fd", "preserve_fds", "sig_proxy")
)
def create(ctx: typer.Context, **_options: Any) -> None:
    """Create a container from an image without starting it.

    The container's ID is printed; `start` runs it.
    """
    perform(ctx)
