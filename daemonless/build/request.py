"""What `build` was asked for, once all of it has been read and checked."""

from __future__ import annotations

from daemonless.build.overrides import Overrides
from daemonless.oci.image import Platform
from daemonless.oci.reference import Reference
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.dockerfile.document import Dockerfile


class Times(Record):
    """What becomes of the modification times of a layer's files, for one that can be made again."""

    epoch: int  # seconds; no file is newer
    all: bool = False  # none is older either


class BuildRequest(Record):
    """One image to be built, for one platform."""

    dockerfile: Dockerfile
    target: str = ""  # a stage's name or number; empty: the last one
    arguments: tuple[tuple[str, str], ...] = ()  # --build-arg
    platform: Platform
    build_platform: Platform  # this machine's
    tags: tuple[Reference, ...] = ()
    is_one_of_many: bool = False  # for one of several platforms, or for a list
    listed: bool = True  # as an image of the store; otherwise it is only for what is made of it
    overrides: Overrides = Overrides()
    keep_history: bool = True  # of how the image was made, in its config
    annotations: tuple[tuple[str, str], ...] = ()
    format: str = "oci"  # or docker
    squash: str = ""  # new or all: make one layer of those that are new, or of all
    use_cache: bool = True
    inline_cache: bool = False  # the image says by which steps its layers were made
    uncached_stages: tuple[str, ...] = ()  # --no-cache-filter
    keep_failed: bool = False  # as a container, what a RUN that fails has left
    jobs: int = 2  # processes at a time
    epoch: int | None = None  # seconds; of everything that tells when it was made
    times: Times | None = None  # of the files in new layers
