"""What commands that make an image say of it."""

from __future__ import annotations

from typing import Annotated

import typer

Message = Annotated[
    str | None, typer.Option("--message", "-m", metavar="TEXT", help="A comment for the image's history.")
]
Change = Annotated[
    list[str] | None,
    typer.Option(
        "--change",
        "-c",
        metavar="INSTRUCTION",
        help="Apply a Dockerfile instruction to the image's config, such as 'CMD [\"sh\"]': CMD, "
        "ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME or WORKDIR; "
        "repeatable.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the ID only.")]
