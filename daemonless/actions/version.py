"""version: what runs here."""

from __future__ import annotations

import os
import sys

from daemonless import __version__
from daemonless.actions import columns
from daemonless.actions.format import render_object
from daemonless.actions.values import Struct
from daemonless.oci.image import host_platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Print the versions.

    There is no server, but scripts probe `{{.Server.Version}}`: it is this program too.
    """
    versions = describe()
    if args.format:
        print(render_object(args.format, Struct(Client=versions, Server=versions)), end="")
        return 0
    rows = [
        ["Client:", "daemonless"],
        ["Version:", versions["Version"]],
        ["Python Version:", versions["PythonVersion"]],
        ["Kernel Version:", versions["KernelVersion"]],
        ["OS/Arch:", versions["OsArch"]],
    ]
    print(columns.table(rows), end="")
    return 0


def describe() -> Struct:
    """Return the versions under podman's and docker's keys."""
    architecture = host_platform().architecture
    return Struct(
        Name="daemonless",
        Version=__version__,
        PythonVersion=".".join(str(part) for part in sys.version_info[:3]),
        KernelVersion=os.uname().release,
        Os="linux",
        Arch=architecture,
        OsArch=f"linux/{architecture}",
    )
