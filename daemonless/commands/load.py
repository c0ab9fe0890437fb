"""`load`: images from an archive."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import lifecycle


def load(
    ctx: typer.Context,
    *,
    input: Annotated[
        str | None,
        typer.Option(
            "--input", "-i", metavar="FILE", help="Read this file or directory, not standard input."
        ),
    ] = None,
    quiet: lifecycle.Quiet = False,
) -> None:
    """Load all images of an archive, under the names they have in it.

    Archives and directories of OCI layouts and of docker are recognised, compressed with gzip, bzip2,
    xz or zstd or not.
    """
    perform(ctx)
