"""What a container is called, how it ends, what is logged, and where its image comes from."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from daemonless.commands import complete

PANEL = "Identity and end"
IMAGE = "Image"

Name = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="Name the container; a random name if not given.",
        rich_help_panel=PANEL,
    ),
]
Replace = Annotated[
    bool,
    typer.Option("--replace", help="Remove an existing container of that name first.", rich_help_panel=PANEL),
]
Rm = Annotated[
    bool,
    typer.Option("--rm", help="Remove the container when it ends.", rich_help_panel=PANEL),
]
Restart = Annotated[
    str,
    typer.Option(
        "--restart",
        metavar="POLICY",
        help="Start the container again when it ends: no, always, unless-stopped, or on-failure:TIMES.",
        rich_help_panel=PANEL,
    ),
]
StopSignal = Annotated[
    str | None,
    typer.Option(
        "--stop-signal",
        metavar="SIGNAL",
        help="Ask the container to stop with this signal; the image's, or SIGTERM, if not given.",
        rich_help_panel=PANEL,
    ),
]
StopTimeout = Annotated[
    int,
    typer.Option(
        "--stop-timeout",
        metavar="SECONDS",
        help="Wait this long after the stop signal before killing the container.",
        rich_help_panel=PANEL,
    ),
]
Cidfile = Annotated[
    str | None,
    typer.Option(
        "--cidfile",
        metavar="FILE",
        help="Write the container's ID to this file, which must not exist.",
        rich_help_panel=PANEL,
    ),
]
Requires = Annotated[
    list[str] | None,
    typer.Option(
        "--requires",
        metavar="CONTAINER",
        help="Have these containers started before this one, and not removed before it; repeatable.",
        rich_help_panel=PANEL,
        autocompletion=complete.containers,
    ),
]
Pidfile = Annotated[
    str | None,
    typer.Option(
        "--pidfile",
        metavar="FILE",
        help="Write the process ID, as the host sees it, to this file.",
        rich_help_panel=PANEL,
    ),
]
Label = Annotated[
    list[str] | None,
    typer.Option(
        "--label", "-l", metavar="KEY=VALUE", help="Set a label; repeatable.", rich_help_panel=PANEL
    ),
]
LabelFile = Annotated[
    list[str] | None,
    typer.Option(
        "--label-file",
        metavar="FILE",
        help="Read labels from a file of KEY=VALUE lines; repeatable.",
        rich_help_panel=PANEL,
    ),
]
Annotation = Annotated[
    list[str] | None,
    typer.Option(
        "--annotation",
        metavar="KEY=VALUE",
        help="Set an annotation of the runtime specification; repeatable.",
        rich_help_panel=PANEL,
    ),
]
LogDriver = Annotated[
    Literal["json-file", "k8s-file", "journald", "none", "passthrough"],
    typer.Option("--log-driver", help="Choose how output is logged.", rich_help_panel=PANEL),
]
LogOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--log-opt",
        metavar="NAME=VALUE",
        help="Set max-size, max-file, path, tag, labels or env of the log; repeatable.",
        rich_help_panel=PANEL,
    ),
]
Pull = Annotated[
    Literal["always", "missing", "never", "newer"],
    typer.Option(
        "--pull",
        help="Choose when the image is pulled; newer does without where that fails.",
        rich_help_panel=IMAGE,
    ),
]
PullPolicy = Annotated[
    Literal["always", "missing", "never", "newer"],
    typer.Option(
        "--policy",
        help="Choose when to pull; newer does without where that fails and the image is here.",
        rich_help_panel=IMAGE,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Do not show the progress of a pull.", rich_help_panel=IMAGE),
]
Os = Annotated[
    str | None,
    typer.Option(
        "--os", metavar="NAME", help="Choose the image for this system: linux.", rich_help_panel=IMAGE
    ),
]
Arch = Annotated[
    str | None,
    typer.Option(
        "--arch",
        metavar="NAME",
        help="Choose the image for these processors, such as arm64.",
        rich_help_panel=IMAGE,
    ),
]
Variant = Annotated[
    str | None,
    typer.Option(
        "--variant",
        metavar="NAME",
        help="Choose the image for this variant of them, such as v7 of arm.",
        rich_help_panel=IMAGE,
    ),
]
Platform = Annotated[
    str | None,
    typer.Option(
        "--platform",
        metavar="OS/ARCH/VARIANT",
        help="Choose the image for this platform; the machine's own if not given.",
        rich_help_panel=IMAGE,
    ),
]
