"""Which images a command is about."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete

_HELP = "The image's name, ID or the beginning of its ID."

Platform = Annotated[
    str | None,
    typer.Option(
        "--platform", metavar="OS/ARCH/VARIANT", help="Of a list of images, take the one for this platform."
    ),
]
SomeImages = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[IMAGE...]",
        help="Images by name, ID or the beginning of an ID.",
        autocompletion=complete.images,
    ),
]
Image = Annotated[
    str,
    typer.Argument(metavar="IMAGE", help=_HELP, autocompletion=complete.images),
]
