"""cp: copy files into and out of containers."""

from __future__ import annotations

import os

from daemonless.containers.copying import CopyRequest, Place, archive, copy, extract
from daemonless.containers.store import ContainerStore
from daemonless.errors import InvalidData, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Copy; a stream takes the place of either side."""
    request = CopyRequest(follow=args.follow_link, archive=args.archive, overwrite=args.overwrite)
    source, target = _place(args, args.source), _place(args, args.target)
    if not source.container and not target.container:
        raise UsageError(
            "neither the source nor the target is in a container",
            "write it with its name: daemonless cp CONTAINER:/etc .",
        )
    if args.target in ("-", "/dev/stdout"):
        if os.isatty(1):
            raise UsageError("refusing to write the archive to a terminal", "redirect it")
        told = archive(args.paths, source, 1, request)
    elif args.source in ("-", "/dev/stdin"):
        try:
            told = extract(args.paths, 0, target, request)
        except InvalidData as error:
            raise InvalidData(f"cannot extract standard input: {error.message}", error.hint) from None
    else:
        told = copy(args.paths, source, target, request)
    if not args.quiet:
        for line in told:
            args.warn(line)
    return 0


def _place(args: Args, text: str) -> Place:
    """Return what docker takes a word for: a path of this machine if it begins with "/" or "."."""
    name, colon, path = text.partition(":")
    if not colon or text.startswith(("/", ".")):
        if not text:
            raise UsageError("a path is empty")
        return Place(path=text)
    if not path:
        raise UsageError(f"a path is missing after {name}:")
    container = ContainerStore(args.paths).find(name)
    return Place(path=path if path.startswith("/") else f"/{path}", container=container)
