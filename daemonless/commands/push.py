"""`push`: copy images to elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform
from daemonless.commands.options import registries

_FORM = "Form of the image"


def push(
    ctx: typer.Context,
    image: Annotated[
        str,
        typer.Argument(metavar="IMAGE", help="The image, by name or ID.", autocompletion=complete.images),
    ],
    destination: Annotated[
        str | None,
        typer.Argument(
            metavar="[DESTINATION]", help="A name in a registry, or TRANSPORT:PLACE; or else IMAGE itself."
        ),
    ] = None,
    *,
    all_tags: Annotated[
        bool, typer.Option("--all-tags", "-a", help="Push all names of the repository IMAGE that are here.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    digestfile: Annotated[
        str | None,
        typer.Option("--digestfile", metavar="FILE", help="Write the digest of the manifest to this file."),
    ] = None,
    format: Annotated[
        Literal["oci", "v2s2"] | None,
        typer.Option(
            "--format",
            "-f",
            help="The kind of manifest: OCI's or docker's; the image's if not given.",
            rich_help_panel=_FORM,
        ),
    ] = None,
    compression_format: Annotated[
        Literal["gzip", "zstd"] | None,
        typer.Option(
            "--compression-format",
            help="Compress all layers in this format; gzip, and plain layers only, if not given.",
            rich_help_panel=_FORM,
        ),
    ] = None,
    compression_level: Annotated[
        int | None,
        typer.Option(
            "--compression-level",
            metavar="NUMBER",
            help="How hard to compress: 1 to 9 for gzip, 1 to 20 for zstd.",
            rich_help_panel=_FORM,
        ),
    ] = None,
    force_compression: Annotated[
        bool | None,
        typer.Option(
            "--force-compression/--no-force-compression",
            help="Change layers that are compressed in another format; done if a format is given.",
            rich_help_panel=_FORM,
        ),
    ] = None,
    disable_compression: Annotated[
        bool,
        typer.Option(
            "--disable-compression", "-D", help="Push layers that are not compressed.", rich_help_panel=_FORM
        ),
    ] = False,
    remove_signatures: Annotated[
        bool,
        typer.Option("--remove-signatures", help="Push no signatures; none ever are.", rich_help_panel=_FORM),
    ] = False,
    tls_verify: registries.TlsVerify = None,
    creds: registries.Creds = None,
    authfile: registries.Authfile = None,
    cert_dir: registries.CertDir = None,
    retry: registries.Retry = 3,
    retry_delay: registries.RetryDelay = None,
) -> None:
    """Push an image to a registry, an archive or a directory, and print the digest it has there.

    Files and directories are oci:DIRECTORY:NAME, oci-archive:FILE:NAME, docker-archive:FILE:NAME and
    dir:DIRECTORY. Layers that a registry has are not sent.
    """
    perform(ctx)
