"""`exec`: run another command in a running container."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import process, security, selection


def exec(
    ctx: typer.Context,
    container: selection.Container,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND...", help="The command and its arguments.")
    ] = None,
    *,
    detach: Annotated[
        bool,
        typer.Option(
            "--detach",
            "-d",
            help="Run in the background and print the session's id.",
            rich_help_panel=process.PANEL,
        ),
    ] = False,
    interactive: process.Interactive = False,
    tty: process.Tty = False,
    detach_keys: process.DetachKeys = "ctrl-p,ctrl-q",
    workdir: process.Workdir = None,
    user: process.User = None,
    privileged: security.Privileged = False,
    preserve_fds: process.PreserveFds = 0,
    preserve_fd: process.PreserveFd = None,
    env: process.Env = None,
    env_file: process.EnvFile = None,
    latest: selection.Latest = False,
    cidfile: selection.OneCidfile = None,
) -> None:
    """Run a command in a running container.

    With --latest or --cidfile, the first word is the command already.

    The exit status is that of the command; 125 if daemonless itself failed, 126 if the command
    could not be executed, 127 if it was not found.
    """
    perform(ctx)
