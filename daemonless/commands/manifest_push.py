"""`manifest push`: copy a list of images to elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import manifests, pushing, registries


def manifest_push(
    ctx: typer.Context,
    list: manifests.List,
    destination: Annotated[
        str | None,
        typer.Argument(
            metavar="[DESTINATION]", help="A name in a registry, or TRANSPORT:PLACE; or else LIST itself."
        ),
    ] = None,
    *,
    all: Annotated[
        bool,
        typer.Option("--all/--no-all", help="Push the images on the list too; done if not given."),
    ] = True,
    rm: Annotated[
        bool, typer.Option("--rm", "--purge", "-p", help="Remove the list when it is pushed.")
    ] = False,
    quiet: pushing.Quiet = False,
    digestfile: pushing.Digestfile = None,
    format: pushing.Format = None,
    compression_format: pushing.CompressionFormat = None,
    compression_level: pushing.CompressionLevel = None,
    force_compression: pushing.ForceCompression = None,
    add_compression: Annotated[
        list[str] | None,
        typer.Option(
            "--add-compression",
            metavar="FORMAT[,FORMAT]",
            help="Push the images in this compression as well: gzip or zstd.",
            rich_help_panel=pushing.FORM,
        ),
    ] = None,
    disable_compression: pushing.DisableCompression = False,
    remove_signatures: pushing.RemoveSignatures = False,
    tls_verify: registries.TlsVerify = None,
    creds: registries.Creds = None,
    authfile: registries.Authfile = None,
    cert_dir: registries.CertDir = None,
    retry: registries.Retry = 3,
    retry_delay: registries.RetryDelay = None,
) -> None:
    """Push a list of images and the images on it, and print the digest that the list has there.

    Files and directories are oci:DIRECTORY:NAME, oci-archive:FILE:NAME and dir:DIRECTORY.
    """
    perform(ctx)
