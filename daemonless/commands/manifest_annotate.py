"""`manifest annotate`: change what a list says of an image."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import manifests


def manifest_annotate(
    ctx: typer.Context,
    list: manifests.List,
    image: Annotated[
        str | None, typer.Argument(metavar="[IMAGE]", help="The image on the list: its digest or its name.")
    ] = None,
    *,
    index: Annotated[
        bool, typer.Option("--index", help="Annotate the list itself, not an image on it.")
    ] = False,
    annotation: manifests.Annotation = None,
    os: manifests.Os = None,
    arch: manifests.Arch = None,
    variant: manifests.Variant = None,
    os_version: manifests.OsVersion = None,
    os_features: manifests.OsFeatures = None,
    features: manifests.Features = None,
) -> None:
    """Change what a list says of an image on it, and print the list's ID."""
    perform(ctx)
