"""Which containers a command is about, and how its result is shown."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete

SELECTION = "Selection"
OUTPUT = "Output"

Container = Annotated[
    str,
    typer.Argument(
        metavar="CONTAINER",
        help="The container's name, ID or the beginning of its ID.",
        autocompletion=complete.containers,
    ),
]
OptionalContainer = Annotated[
    str | None,
    typer.Argument(
        metavar="CONTAINER",
        help="The container's name, ID or the beginning of its ID.",
        autocompletion=complete.containers,
    ),
]
Containers = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CONTAINER...",
        help="Containers by name, ID or the beginning of an ID.",
        autocompletion=complete.containers,
    ),
]
All = Annotated[
    bool,
    typer.Option("--all", "-a", help="Choose all containers.", rich_help_panel=SELECTION),
]
AllLong = Annotated[
    bool,
    typer.Option("--all", help="Choose all containers.", rich_help_panel=SELECTION),
]
_FILTER_HELP = "Choose containers that match, as `ps --filter` does; repeatable."
Filter = Annotated[
    list[str] | None,
    typer.Option("--filter", "-f", metavar="KEY=VALUE", help=_FILTER_HELP, rich_help_panel=SELECTION),
]
FilterLong = Annotated[
    list[str] | None,
    typer.Option("--filter", metavar="KEY=VALUE", help=_FILTER_HELP, rich_help_panel=SELECTION),
]
Cidfile = Annotated[
    list[str] | None,
    typer.Option(
        "--cidfile",
        metavar="FILE",
        help="Choose the container whose ID is in this file; repeatable.",
        rich_help_panel=SELECTION,
    ),
]
OneCidfile = Annotated[
    str | None,
    typer.Option(
        "--cidfile",
        metavar="FILE",
        help="Choose the container whose ID is in this file.",
        rich_help_panel=SELECTION,
    ),
]
Latest = Annotated[
    bool,
    typer.Option("--latest", "-l", help="Choose the newest container.", rich_help_panel=SELECTION),
]
Ignore = Annotated[
    bool,
    typer.Option("--ignore", "-i", help="Pass over containers that do not exist.", rich_help_panel=SELECTION),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        metavar="TEMPLATE",
        help="Print json, or what a Go template makes of the result.",
        rich_help_panel=OUTPUT,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only IDs.", rich_help_panel=OUTPUT)]
Noheading = Annotated[
    bool,
    typer.Option("--noheading", "-n", help="Leave out the column headings.", rich_help_panel=OUTPUT),
]
FormatLines = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="TEMPLATE",
        help="Print json, or what a Go template makes of each line; table aligns columns.",
        rich_help_panel=OUTPUT,
    ),
]
PruneFilter = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="KEY=VALUE",
        help="Remove only what matches: until (made before), label or label!; repeatable.",
        rich_help_panel=SELECTION,
    ),
]
CacheFilter = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="KEY=VALUE",
        help="Choose only what matches: until (not used since), type (regular, exec.cachemount); repeatable.",
        rich_help_panel=SELECTION,
    ),
]
AllImages = Annotated[
    bool,
    typer.Option(
        "--all",
        "-a",
        help="Remove all images that no container uses, with a name too.",
        rich_help_panel=SELECTION,
    ),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Do not ask.")]
NoTrunc = Annotated[
    bool,
    typer.Option("--no-trunc", help="Print IDs and commands in full.", rich_help_panel=OUTPUT),
]
