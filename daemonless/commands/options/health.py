"""How a container's health is checked."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

PANEL = "Health check"

Cmd = Annotated[
    str | None,
    typer.Option(
        "--health-cmd",
        metavar="COMMAND",
        help="Check the container's health with this command: a line for the shell, or a JSON array; none "
        "turns the image's check off.",
        rich_help_panel=PANEL,
    ),
]
Interval = Annotated[
    str | None,
    typer.Option(
        "--health-interval",
        metavar="TIME",
        help="Wait this long between two checks; with the word disable, check only when somebody asks. The "
        "image's, or 30s, if not given.",
        rich_help_panel=PANEL,
    ),
]
Timeout = Annotated[
    str | None,
    typer.Option(
        "--health-timeout",
        metavar="TIME",
        help="Kill a check that takes longer, and count it as failed. The image's, or 30s, if not given.",
        rich_help_panel=PANEL,
    ),
]
Retries = Annotated[
    int | None,
    typer.Option(
        "--health-retries",
        metavar="NUMBER",
        help="Call the container unhealthy after so many failures in a row. The image's, or 3, if not given.",
        rich_help_panel=PANEL,
    ),
]
StartPeriod = Annotated[
    str | None,
    typer.Option(
        "--health-start-period",
        metavar="TIME",
        help="Do not count failures for so long after the start, unless a check has succeeded. The image's, "
        "or 0s, if not given.",
        rich_help_panel=PANEL,
    ),
]
StartInterval = Annotated[
    str | None,
    typer.Option(
        "--health-start-interval",
        metavar="TIME",
        help="Wait this long between two checks of the start period. The image's, or 5s, if not given.",
        rich_help_panel=PANEL,
    ),
]
OnFailure = Annotated[
    Literal["none", "kill", "restart", "stop"],
    typer.Option(
        "--health-on-failure",
        help="Do this with a container that has become unhealthy.",
        rich_help_panel=PANEL,
    ),
]
NoHealthcheck = Annotated[
    bool,
    typer.Option("--no-healthcheck", help="Turn the image's health check off.", rich_help_panel=PANEL),
]
