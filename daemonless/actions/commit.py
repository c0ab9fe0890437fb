"""commit: an image of a container."""

from __future__ import annotations

import sys
from contextlib import nullcontext

from daemonless import events
from daemonless.actions.create import id_map_of
from daemonless.actions.names import new_reference
from daemonless.actions.output import Output, open_output
from daemonless.containers.committing import CommitRequest, commit
from daemonless.containers.pausing import Paused
from daemonless.containers.store import ContainerStore, event_details
from daemonless.files import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Make the image and print its id, progress going to stderr."""
    container = ContainerStore(args.paths).find(args.container)
    request = CommitRequest(
        reference=new_reference(args.image) if args.image else None,
        author=args.author or "",
        message=args.message or "",
        changes=args.change,
        format=args.format,
        squash=args.squash,
    )

    def say(text: str) -> None:
        if not args.quiet:
            print(text, file=sys.stderr)

    say(f"Committing {container.name}")
    id_map = id_map_of(container)
    with open_output(args.iidfile, "") if args.iidfile else Output(-1) as iidfile:
        with Paused(container) if args.pause and container.status == "running" else nullcontext():
            image_id, omitted = commit(args.paths, container, request, id_map, say)
        if args.iidfile:
            write_all(iidfile.fd, image_id.encode())
            iidfile.keep()
    for line in omitted:
        args.warn(line)
    events.record(
        args.paths, "container", "commit", container.id, **event_details(container.record), imageId=image_id
    )
    print(image_id)
    return 0
