"""export: a container's files as a tar archive."""

from __future__ import annotations

import os

from daemonless import events
from daemonless.actions.output import open_output
from daemonless.containers.filesystem import own_tree
from daemonless.containers.store import ContainerStore, event_details
from daemonless.layers.archive import ArchiveWriter, descriptor_sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Write the archive to the file, or to standard output unless that is a terminal."""
    container = ContainerStore(args.paths).find(args.container)
    with open_output(args.output, "the archive") as output:

        def work(root_fd: int) -> tuple[str, ...]:
            archive = ArchiveWriter(descriptor_sink(output.fd))
            archive.add_content(root_fd)
            archive.finish()
            return archive.omitted.lines()

        for line in own_tree(container, work):
            args.warn(line)
        output.keep()
    events.record(args.paths, "container", "export", container.id, **event_details(container.record))
    return os.EX_OK
