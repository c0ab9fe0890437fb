"""`import`: a root filesystem in a tar archive becomes an image."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import imaging


def import_(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|URL|-", help="The archive: a file, an http(s) address, or - for standard input."
        ),
    ],
    reference: Annotated[
        str | None, typer.Argument(metavar="[NAME[:TAG]]", help="The name the image gets.")
    ] = None,
    *,
    change: imaging.Change = None,
    message: imaging.Message = None,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            metavar="OS/ARCH/VARIANT",
            help="The platform it is for; this machine's if not given.",
        ),
    ] = None,
    os: Annotated[
        str | None, typer.Option("--os", metavar="NAME", help="The operating system it is for: linux.")
    ] = None,
    arch: Annotated[
        str | None, typer.Option("--arch", metavar="NAME", help="The processors it is for, such as arm64.")
    ] = None,
    variant: Annotated[
        str | None, typer.Option("--variant", metavar="NAME", help="Their variant, such as v7 of arm.")
    ] = None,
    quiet: imaging.Quiet = False,
) -> None:
    """Make an image of a root filesystem in a tar archive, and print its ID.

    The archive may be compressed: gzip, bzip2, xz and zstd are recognised. `export` writes such
    archives.
    """
    perform(ctx)
