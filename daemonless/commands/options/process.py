"""The process in the container: its terminal, identity and environment."""

from __future__ import annotations

from typing import Annotated

import typer

PANEL = "Process"
ENVIRONMENT = "Environment"

Detach = Annotated[
    bool,
    typer.Option(
        "--detach", "-d", help="Run in the background and print the container's ID.", rich_help_panel=PANEL
    ),
]
Interactive = Annotated[
    bool,
    typer.Option(
        "--interactive", "-i", help="Connect the standard input to the process.", rich_help_panel=PANEL
    ),
]
Tty = Annotated[
    bool,
    typer.Option("--tty", "-t", help="Give the process a terminal.", rich_help_panel=PANEL),
]
Tz = Annotated[
    str | None,
    typer.Option(
        "--tz",
        metavar="ZONE",
        help="Set the local time zone, such as Europe/Lisbon; local is this machine's.",
        rich_help_panel=PANEL,
    ),
]
Attach = Annotated[
    list[str] | None,
    typer.Option(
        "--attach",
        "-a",
        metavar="STREAM",
        help="Take part with this stream only: stdin, stdout or stderr; repeatable.",
        rich_help_panel=PANEL,
        autocompletion=lambda: ["stdin", "stdout", "stderr"],
    ),
]
DetachKeys = Annotated[
    str,
    typer.Option(
        "--detach-keys",
        metavar="KEYS",
        help="Leave the container running when these keys are typed; an empty value turns this off.",
        rich_help_panel=PANEL,
    ),
]
SigProxy = Annotated[
    bool,
    typer.Option(
        "--sig-proxy/--no-sig-proxy",
        help="Pass the signals that the command receives on to the process.",
        rich_help_panel=PANEL,
    ),
]
Entrypoint = Annotated[
    str | None,
    typer.Option(
        "--entrypoint",
        metavar="COMMAND",
        help="Run this instead of the image's entrypoint: a program, a JSON array, or nothing to clear it.",
        rich_help_panel=PANEL,
    ),
]
Workdir = Annotated[
    str | None,
    typer.Option(
        "--workdir",
        "-w",
        metavar="DIRECTORY",
        help="Start in this directory of the container.",
        rich_help_panel=PANEL,
    ),
]
User = Annotated[
    str | None,
    typer.Option(
        "--user",
        "-u",
        metavar="USER:GROUP",
        help="Run as this user, and this group if one is given; names or numbers.",
        rich_help_panel=PANEL,
    ),
]
GroupAdd = Annotated[
    list[str] | None,
    typer.Option(
        "--group-add",
        metavar="GROUP",
        help="Add a supplementary group, or with keep-groups have the caller's own; repeatable.",
        rich_help_panel=PANEL,
    ),
]
Init = Annotated[
    bool,
    typer.Option(
        "--init",
        help="Run a small init as process 1 that forwards signals and collects orphans.",
        rich_help_panel=PANEL,
    ),
]
Umask = Annotated[
    str | None,
    typer.Option(
        "--umask",
        metavar="MODE",
        help="Set the file mode creation mask, in octal; 0022 if not given.",
        rich_help_panel=PANEL,
    ),
]
Timeout = Annotated[
    int,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        help="Kill the container after this time; 0 means never.",
        rich_help_panel=PANEL,
    ),
]
PreserveFds = Annotated[
    int,
    typer.Option(
        "--preserve-fds",
        metavar="NUMBER",
        help="Pass this many file descriptors, counted from 3, on to the process.",
        rich_help_panel=PANEL,
    ),
]
PreserveFd = Annotated[
    list[str] | None,
    typer.Option(
        "--preserve-fd",
        metavar="FD,...",
        help="Pass these file descriptors on to the process; repeatable.",
        rich_help_panel=PANEL,
    ),
]
Env = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        "-e",
        metavar="NAME=VALUE",
        help="Set a variable, or copy the caller's by name, or several with NAME*; repeatable.",
        rich_help_panel=ENVIRONMENT,
    ),
]
EnvFile = Annotated[
    list[str] | None,
    typer.Option(
        "--env-file",
        metavar="FILE",
        help="Read variables from a file of NAME=VALUE lines; repeatable.",
        rich_help_panel=ENVIRONMENT,
    ),
]
UnsetEnv = Annotated[
    list[str] | None,
    typer.Option(
        "--unsetenv",
        metavar="NAME",
        help="Leave out a variable that the image sets; repeatable.",
        rich_help_panel=ENVIRONMENT,
    ),
]
UnsetEnvAll = Annotated[
    bool,
    typer.Option(
        "--unsetenv-all", help="Leave out every variable that the image sets.", rich_help_panel=ENVIRONMENT
    ),
]
EnvHost = Annotated[
    bool,
    typer.Option(
        "--env-host",
        help="Take over all of the caller's variables that the image does not set.",
        rich_help_panel=ENVIRONMENT,
    ),
]
HttpProxy = Annotated[
    bool,
    typer.Option(
        "--http-proxy/--no-http-proxy",
        help="Copy the caller's proxy variables, such as https_proxy.",
        rich_help_panel=ENVIRONMENT,
    ),
]
