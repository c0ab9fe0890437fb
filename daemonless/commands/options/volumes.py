"""Which volumes a command is about."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete
from daemonless.commands.options.selection import SELECTION

Volumes = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="VOLUME...",
        help="Volumes by name or the beginning of a name.",
        autocompletion=complete.volumes,
    ),
]
All = Annotated[bool, typer.Option("--all", "-a", help="Choose all volumes.", rich_help_panel=SELECTION)]
FILTERS = "all, anonymous, dangling, driver, label, label!, name, opt, scope, since or until; repeatable."
