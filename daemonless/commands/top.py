"""`top`: show the processes of a container."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def top(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CONTAINER [DESCRIPTOR...|PS-OPTIONS]",
            help="The container, and the columns: descriptors such as pid hpid user args, or -eo pid,comm.",
            autocompletion=complete.containers,
        ),
    ] = None,
    *,
    latest: selection.Latest = False,
) -> None:
    """Show the processes of a running container, as the container counts and names them.

    What is shown comes from this machine, never from a program in the container. The descriptors
    are args capamb capbnd capeff capinh capprm comm etime group groups hgroup hgroups hpid huid huser
    label nice pcpu pgid pid ppid rgroup rss ruser seccomp state stime time tty uid user vsz.
    """
    perform(ctx)
