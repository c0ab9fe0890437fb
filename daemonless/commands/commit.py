"""`commit`: an image of a container."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def commit(
    ctx: typer.Context,
    container: selection.Container,
    image: Annotated[
        str | None, typer.Argument(metavar="[IMAGE]", help="The name of the new image, with a tag.")
    ] = None,
    *,
    author: Annotated[
        str | None, typer.Option("--author", "-a", metavar="TEXT", help="Who made the image.")
    ] = None,
    message: Annotated[
        str | None, typer.Option("--message", "-m", metavar="TEXT", help="A comment for the image's history.")
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--change",
            "-c",
            metavar="INSTRUCTION",
            help="Apply a Dockerfile instruction to the image's config, such as 'CMD [\"sh\"]': CMD, "
            "ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME or WORKDIR; "
            "repeatable.",
        ),
    ] = None,
    format: Annotated[
        Literal["oci", "docker"],
        typer.Option("--format", "-f", help="The kind of manifest and config to write."),
    ] = "oci",
    iidfile: Annotated[
        str | None, typer.Option("--iidfile", metavar="FILE", help="Write the image's ID to this file.")
    ] = None,
    squash: Annotated[
        bool, typer.Option("--squash", "-s", help="Make an image of a single layer, with all files.")
    ] = False,
    pause: Annotated[
        bool, typer.Option("--pause/--no-pause", "-p", help="Pause the container meanwhile, if it runs.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the ID only.")] = False,
) -> None:
    """Make an image of a container's files and settings, and print its ID.

    It has the layers of the container's image and one more, with what `daemonless diff` shows.

    Volumes and other mounts are not part of it.
    """
    perform(ctx)
