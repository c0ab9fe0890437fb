"""volume export: a volume's content as a tar archive."""

from __future__ import annotations

import os

from daemonless.actions.output import open_output
from daemonless.volumes import content
from daemonless.volumes.store import VolumeStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Write the archive to the file, or to standard output unless that is a terminal."""
    volume = VolumeStore(args.paths).find(args.volume)
    with open_output(args.output, "the archive") as output:
        for line in content.export(volume, output.fd):
            args.warn(line)
        output.keep()
    return os.EX_OK
