"""Lists of images: which one, and what it says of an image."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete

_PLATFORM = "Platform"

List = Annotated[
    str, typer.Argument(metavar="LIST", help="The list's name or ID.", autocompletion=complete.lists)
]
Lists = Annotated[
    list[str],
    typer.Argument(metavar="LIST...", help="Lists by name or ID.", autocompletion=complete.lists),
]
_IMAGES = "Images or lists of this machine, or else of a registry; or as TRANSPORT:PLACE."
Images = Annotated[
    list[str], typer.Argument(metavar="IMAGE...", help=_IMAGES, autocompletion=complete.images)
]
SomeImages = Annotated[
    list[str] | None,
    typer.Argument(metavar="[IMAGE...]", help=_IMAGES, autocompletion=complete.images),
]
All = Annotated[
    bool, typer.Option("--all", help="Of an image for several platforms, take all, not this machine's alone.")
]
Annotation = Annotated[
    list[str] | None,
    typer.Option("--annotation", metavar="KEY=VALUE", help="Annotate it so; repeatable."),
]
Os = Annotated[
    str | None,
    typer.Option("--os", metavar="NAME", help="The system it is for.", rich_help_panel=_PLATFORM),
]
Arch = Annotated[
    str | None,
    typer.Option(
        "--arch",
        metavar="NAME",
        help="The processors it is for, such as arm64.",
        rich_help_panel=_PLATFORM,
    ),
]
Variant = Annotated[
    str | None,
    typer.Option(
        "--variant",
        metavar="NAME",
        help="The variant of them, such as v7 of arm.",
        rich_help_panel=_PLATFORM,
    ),
]
OsVersion = Annotated[
    str | None,
    typer.Option(
        "--os-version", metavar="VERSION", help="The version of the system.", rich_help_panel=_PLATFORM
    ),
]
OsFeatures = Annotated[
    list[str] | None,
    typer.Option(
        "--os-features",
        metavar="NAME,...",
        help="What the system must have; repeatable.",
        rich_help_panel=_PLATFORM,
    ),
]
Features = Annotated[
    list[str] | None,
    typer.Option(
        "--features",
        metavar="NAME,...",
        help="What the processor must have; repeatable.",
        rich_help_panel=_PLATFORM,
    ),
]
