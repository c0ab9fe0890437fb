"""What other builders need and `build` does not: scripts give them, and nothing follows from them."""

from __future__ import annotations

from typing import Annotated

import typer

_OTHERS = "For other builders"

Remove = Annotated[
    bool, typer.Option("--rm", help="Nothing changes: a step leaves no container.", rich_help_panel=_OTHERS)
]
ForceRemove = Annotated[
    bool,
    typer.Option("--force-rm", help="Nothing changes: a step leaves no container.", rich_help_panel=_OTHERS),
]
Compress = Annotated[
    bool,
    typer.Option(
        "--compress", help="Nothing changes: the context is not sent anywhere.", rich_help_panel=_OTHERS
    ),
]
DisableCompression = Annotated[
    bool,
    typer.Option(
        "--disable-compression",
        "-D",
        help="Nothing changes: layers are compressed while they are made.",
        rich_help_panel=_OTHERS,
    ),
]
DisableContentTrust = Annotated[
    bool,
    typer.Option("--disable-content-trust", help="Nothing changes: there is none.", rich_help_panel=_OTHERS),
]
BuilderName = Annotated[
    str | None,
    typer.Option(
        "--builder", metavar="NAME", help="Nothing changes: there is one builder.", rich_help_panel=_OTHERS
    ),
]
Provenance = Annotated[
    str | None,
    typer.Option(
        "--provenance",
        metavar="false",
        help="Nothing changes: no attestations are made, so false is all it takes.",
        rich_help_panel=_OTHERS,
    ),
]
Sbom = Annotated[
    str | None,
    typer.Option(
        "--sbom",
        metavar="false",
        help="Nothing changes: no attestations are made, so false is all it takes.",
        rich_help_panel=_OTHERS,
    ),
]
Isolation = Annotated[
    str | None,
    typer.Option(
        "--isolation",
        metavar="KIND",
        help="Nothing changes: RUN is isolated as a container is.",
        rich_help_panel=_OTHERS,
    ),
]
IdentityLabel = Annotated[
    bool,
    typer.Option(
        "--identity-label",
        help="Nothing changes: no label tells what has built the image.",
        rich_help_panel=_OTHERS,
    ),
]
LayerLabel = Annotated[
    list[str] | None,
    typer.Option(
        "--layer-label",
        metavar="KEY=VALUE",
        help="Nothing changes: steps are layers in a cache, and no images with labels.",
        rich_help_panel=_OTHERS,
    ),
]
