"""import: a root filesystem in a tar archive becomes an image of one layer."""

from __future__ import annotations

import os

from daemonless import clock
from daemonless.config import Paths
from daemonless.files import write_all
from daemonless.images.build import Draft, add_layer
from daemonless.images.formats import FORMATS
from daemonless.isolation.task import Task, fork_plain
from daemonless.isolation.userns import load_id_map
from daemonless.layers.incoming import decompressed
from daemonless.oci.image import Platform
from daemonless.oci.reference import Reference
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class ImportRequest(Record):
    """What `import` asked for."""

    reference: Reference | None
    config: dict[str, Any]  # of the image: Cmd, Env ...
    message: str
    platform: Platform


def import_archive(
    paths: Paths,
    opened: Callable[[], Callable[[int], bytes]],
    request: ImportRequest,
    say: Callable[[str], None],
) -> tuple[str, list[str]]:
    """Make the image; return its id (64 hex digits), and what cannot be unpacked of it.

    `opened` is called in a child and returns what reads the archive, compressed or not. A failure
    leaves nothing. The caller must have a single thread. Raises InvalidData for a bad archive, what
    `opened` and the function it returns raise, and DaemonlessError about the store.
    """
    created = clock.creation_time()
    platform = request.platform
    draft = Draft(
        reference=request.reference,
        base=(),
        config={
            "created": created,
            "architecture": platform.architecture,
            **({"variant": platform.variant} if platform.variant else {}),
            "os": platform.os,
            "config": request.config,
            "history": [{"created": created, "comment": request.message}],
        },
        format=FORMATS["oci"],
        id_map=load_id_map(os.getuid(), os.getgid()),
    )

    def write(fd: int) -> Task:
        def work() -> list[str]:
            for chunk in decompressed(opened()):
                write_all(fd, chunk)
            return []

        return Task(work, fork_plain)

    return add_layer(paths, draft, write, say)
