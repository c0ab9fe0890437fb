"""import: a root filesystem in a tar archive becomes an image."""

from __future__ import annotations

import os
import sys

from daemonless import events
from daemonless.actions.input import open_input, shown_input
from daemonless.actions.names import new_reference
from daemonless.containers import instructions
from daemonless.errors import InvalidData
from daemonless.images.importing import ImportRequest, import_archive
from daemonless.layers.incoming import reader
from daemonless.oci.image import asked_platform, host_platform
from daemonless.registry.errors import redact_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from daemonless.actions.args import Args
    from daemonless.oci.image import Platform


def main(args: Args) -> int:
    """Make the image and print its id, progress going to stderr."""
    shown = redact_url(args.source) if _is_url(args.source) else shown_input(args.source)
    config: dict[str, Any] = {}
    for change in args.change:
        instructions.apply(config, change)
    request = ImportRequest(
        reference=new_reference(args.reference) if args.reference else None,
        config=config,
        message=args.message if args.message is not None else f"Imported from {shown}",
        platform=_platform(args),
    )

    def say(text: str) -> None:
        if not args.quiet:
            print(text, file=sys.stderr)

    try:
        opened = _opener(args.source)
        say(f"Importing {shown}")
        image_id, omitted = import_archive(args.paths, opened, request, say)
    except InvalidData as error:
        raise InvalidData(f"cannot import {shown}: {error.message}", error.hint) from None
    for line in omitted:
        args.warn(line)
    name = str(request.reference or "")
    events.record(args.paths, "image", "import", image_id, **({"name": name} if name else {}))
    print(f"sha256:{image_id}")
    return os.EX_OK


def _opener(source: str) -> Callable[[], Callable[[int], bytes]]:
    """Return what gives a function that reads the archive; a file is opened now, an address later."""
    if _is_url(source):

        def fetch() -> Callable[[int], bytes]:
            from daemonless.images.web import open_url  # noqa: PLC0415 - HTTP: 100 ms, spared for files

            return open_url(source).read

        return fetch
    read = reader(open_input(source, "an archive"))
    return lambda: read


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _platform(args: Args) -> Platform:
    asked = asked_platform(
        args.platform or "", os=args.os or "", architecture=args.arch or "", variant=args.variant or ""
    )
    return asked or host_platform()
