"""`push`: copy images to elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform
from daemonless.commands.options import images, pushing, registries


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
    platform: images.Platform = None,
    quiet: pushing.Quiet = False,
    digestfile: pushing.Digestfile = None,
    format: pushing.Format = None,
    compression_format: pushing.CompressionFormat = None,
    compression_level: pushing.CompressionLevel = None,
    force_compression: pushing.ForceCompression = None,
    disable_compression: pushing.DisableCompression = False,
    remove_signatures: pushing.RemoveSignatures = False,
    tls_verify: registries.TlsVerify = None,
    creds: registries.Creds = None,
    authfile: registries.Authfile = None,
    cert_dir: registries.CertDir = None,
    retry: registries.Retry = 3,
    retry_delay: registries.RetryDelay = None,
) -> None:
    """Push an image, or a list with its images, to elsewhere, and print the digest it has there.

    Files and directories are oci:DIRECTORY:NAME, oci-archive:FILE:NAME, docker-archive:FILE:NAME and
    dir:DIRECTORY. Layers that a registry has are not sent.
    """
    perform(ctx)
