"""How long to wait."""

from __future__ import annotations

from typing import Annotated

import typer

StopTime = Annotated[
    int | None,
    typer.Option(
        "--timeout",
        "--time",
        "-t",
        metavar="SECONDS",
        help="Wait this long before killing; -1 waits for ever; the container's own if not given.",
    ),
]
StopSignal = Annotated[
    str | None,
    typer.Option(
        "--signal",
        "-s",
        metavar="SIGNAL",
        help="Send this signal first; the container's stop signal if not given.",
    ),
]
