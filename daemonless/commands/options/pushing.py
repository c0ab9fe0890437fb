"""What an image becomes when it is copied to elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

FORM = "Form of the image"

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Digestfile = Annotated[
    str | None,
    typer.Option("--digestfile", metavar="FILE", help="Write the digest of the manifest to this file."),
]
Format = Annotated[
    Literal["oci", "v2s2"] | None,
    typer.Option(
        "--format",
        "-f",
        help="The kind of manifest: OCI's or docker's; the image's if not given.",
        rich_help_panel=FORM,
    ),
]
CompressionFormat = Annotated[
    Literal["gzip", "zstd"] | None,
    typer.Option(
        "--compression-format",
        help="Compress all layers in this format; gzip, and plain layers only, if not given.",
        rich_help_panel=FORM,
    ),
]
CompressionLevel = Annotated[
    int | None,
    typer.Option(
        "--compression-level",
        metavar="NUMBER",
        help="How hard to compress: 1 to 9 for gzip, 1 to 20 for zstd.",
        rich_help_panel=FORM,
    ),
]
ForceCompression = Annotated[
    bool | None,
    typer.Option(
        "--force-compression/--no-force-compression",
        help="Change layers that are compressed in another format; done if a format is given.",
        rich_help_panel=FORM,
    ),
]
DisableCompression = Annotated[
    bool,
    typer.Option(
        "--disable-compression", "-D", help="Push layers that are not compressed.", rich_help_panel=FORM
    ),
]
RemoveSignatures = Annotated[
    bool,
    typer.Option("--remove-signatures", help="Push no signatures; none ever are.", rich_help_panel=FORM),
]
