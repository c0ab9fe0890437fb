"""volume import: the members of a tar archive become part of a volume's content."""

from __future__ import annotations

import os

from daemonless.actions.input import open_input, shown_input
from daemonless.errors import InvalidData
from daemonless.layers import trash
from daemonless.layers.incoming import decompressed, reader
from daemonless.volumes import content
from daemonless.volumes.store import VolumeStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Read the file, or standard input unless that is a terminal, into a volume that exists."""
    volume = VolumeStore(args.paths).find(args.volume)
    fd = open_input(args.source, "an archive")
    try:
        warnings = content.import_archive(args.paths, volume, decompressed(reader(fd)))
    except InvalidData as error:
        raise InvalidData(f"cannot import {shown_input(args.source)}: {error.message}", error.hint) from None
    finally:
        trash.empty_in_background(args.paths.data)
    for line in warnings:
        args.warn(line)
    return os.EX_OK
