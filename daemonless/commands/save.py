"""`save`: images as an archive or a directory."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform
from daemonless.commands.options import images as which


def save(
    ctx: typer.Context,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...",
            help="Images by name or ID; all names given are kept.",
            autocompletion=complete.images,
        ),
    ],
    *,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to this file, not to standard output."),
    ] = None,
    format: Annotated[
        Literal["docker-archive", "oci-archive", "docker-dir", "oci-dir"],
        typer.Option("--format", help="What to write; the last two are directories."),
    ] = "docker-archive",
    multi_image_archive: Annotated[
        bool,
        typer.Option(
            "--multi-image-archive", "-m", help="Accepted; several images always make one archive here."
        ),
    ] = False,
    compress: Annotated[
        bool, typer.Option("--compress", help="Compress layers that are not; with docker-dir only.")
    ] = False,
    uncompressed: Annotated[
        bool, typer.Option("--uncompressed", help="Write layers uncompressed; with the OCI formats only.")
    ] = False,
    platform: which.Platform = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not show the progress.")] = False,
) -> None:
    """Write images to an archive or a directory, for `load`, docker, podman and skopeo.

    The same images make the same archive.
    """
    perform(ctx)
