"""What the container sees as its files."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from daemonless.commands import complete

PANEL = "Files"

Volume = Annotated[
    list[str] | None,
    typer.Option(
        "--volume",
        "-v",
        metavar="SOURCE:TARGET:OPTIONS",
        help="Mount a file or directory of the host, or a volume by its name, or with TARGET alone a new "
        "volume; options are ro, rw, z, Z, U, O, nocopy and those of mount(8); repeatable.",
        autocompletion=complete.volumes,
        rich_help_panel=PANEL,
    ),
]
Mount = Annotated[
    list[str] | None,
    typer.Option(
        "--mount",
        metavar="type=TYPE,KEY=VALUE,...",
        help="Mount a bind, volume or tmpfs, in the long form; repeatable.",
        rich_help_panel=PANEL,
    ),
]
Tmpfs = Annotated[
    list[str] | None,
    typer.Option(
        "--tmpfs",
        metavar="TARGET:OPTIONS",
        help="Mount an empty file system kept in memory; repeatable.",
        rich_help_panel=PANEL,
    ),
]
VolumesFrom = Annotated[
    list[str] | None,
    typer.Option(
        "--volumes-from",
        metavar="CONTAINER:MODE",
        help="Mount what another container has mounted of volumes and of the host; mode ro or rw; "
        "repeatable.",
        rich_help_panel=PANEL,
        autocompletion=complete.containers,
    ),
]
ImageVolume = Annotated[
    Literal["bind", "anonymous", "tmpfs", "ignore"],
    typer.Option(
        "--image-volume",
        help="Make an anonymous volume of each VOLUME of the image (bind, anonymous), a tmpfs, or nothing.",
        rich_help_panel=PANEL,
    ),
]
Secret = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        metavar="NAME,KEY=VALUE,...",
        help="Hand over a secret as the file /run/secrets/NAME, or with type=env as a variable; keys are "
        "type, target, uid, gid and mode; repeatable.",
        rich_help_panel=PANEL,
        autocompletion=complete.secrets,
    ),
]
Rootfs = Annotated[
    bool,
    typer.Option(
        "--rootfs",
        help="Take a directory as the root in place of an image, and write into it; with DIRECTORY:O what is "
        "written stays with the container.",
        rich_help_panel=PANEL,
    ),
]
ReadOnly = Annotated[
    bool,
    typer.Option(
        "--read-only", help="Make the container's root file system read-only.", rich_help_panel=PANEL
    ),
]
ReadOnlyTmpfs = Annotated[
    bool,
    typer.Option(
        "--read-only-tmpfs/--no-read-only-tmpfs",
        help="With --read-only, keep /tmp, /run and /var/tmp writable in memory.",
        rich_help_panel=PANEL,
    ),
]
ShmSize = Annotated[
    str,
    typer.Option(
        "--shm-size",
        metavar="SIZE",
        help="Limit /dev/shm to this size, with a unit b, k, m or g.",
        rich_help_panel=PANEL,
    ),
]
Device = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        metavar="HOST:TARGET:rwm",
        help="Give the container a device of the host, by its path, or by its name VENDOR/CLASS=DEVICE as "
        "files of /etc/cdi have it; repeatable.",
        rich_help_panel=PANEL,
        autocompletion=complete.devices,
    ),
]
Gpus = Annotated[
    list[str] | None,
    typer.Option(
        "--gpus",
        metavar="GPU",
        help="Give the container a GPU, by number, or all: as --device nvidia.com/gpu=GPU; repeatable.",
        rich_help_panel=PANEL,
    ),
]
