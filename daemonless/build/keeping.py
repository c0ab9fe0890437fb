"""`--on-error keep`: a container to look at what a RUN step that failed has left.

Its image is what the stage had become before, without a name; its writable layer is the step's own, as
the command left it; its variables, working directory and user are the step's. So it is what the
command saw, but for the mounts of RUN --mount: a secret would otherwise outlive the build, and a cache
has other users. It is a container like any other: in `ps --all`, started and removed by its name.
"""

from __future__ import annotations

import os

from daemonless import syscalls as sc
from daemonless.build.finishing import finish
from daemonless.config import Paths
from daemonless.containers.creation import create
from daemonless.containers.request import RunRequest
from daemonless.dockerfile.steps import RunWork
from daemonless.files import move_directory
from daemonless.images.buildcache import StepLayer
from daemonless.images.leases import Lease
from daemonless.images.store import ImageStore
from daemonless.isolation.userns import IdMap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_DEFAULT_SHELL = "/bin/sh"
_OF_A_STEP = ("Env", "User", "WorkingDir", "Shell")  # the rest of a config is of no use before its CMD


def keep(
    paths: Paths,
    id_map: IdMap,
    lease: Lease,
    *,
    work: RunWork,
    config: dict[str, Any],
    layers: list[StepLayer],
    base: RunRequest,
    upper: str,
    warn: Callable[[str], None],
) -> str:
    """Make the container and return its name; it executes the step's shell on a terminal.

    `config` is the config document that the step has worked with, history included; `base` what the
    options say of all RUN steps; `upper` the writable layer, which is moved. Raises what `finish` and
    `create` raise.
    """
    section = config["config"]
    image = finish(
        paths,
        id_map.key,
        lease,
        {**config, "config": {key: section[key] for key in _OF_A_STEP if section.get(key)}},
        layers,
        format="oci",
        annotations=(),
        references=(),
        listed=True,
    )
    request = base.replace(
        image=image.id.partition(":")[2],
        entrypoint=(),
        command=((section.get("Shell") or [_DEFAULT_SHELL])[0],),
        env=work.env,
        interactive=True,
        tty=True,
    )
    container = create(
        paths, request, ImageStore(paths.data).resolve(image.id), id_map, durable=True, warn=warn
    )
    fd = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sc.syncfs(fd)  # the step's overlay was volatile
    finally:
        os.close(fd)
    move_directory(upper, f"{container.directory}/upper")
    return container.name
