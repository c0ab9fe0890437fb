"""From the files that a step has written to a layer of the store.

A step writes into the upper directory of an overlay. That directory is what an unpacked layer is, so
it becomes one by a rename, while a process beside it makes the archive that others will get. Where the
two would differ - a socket, a device, a name that means deletion in archives - the layer is
unpacked from the archive instead.
"""

from __future__ import annotations

import errno
import os

from daemonless import failpoints
from daemonless import syscalls as sc
from daemonless.build.request import Times
from daemonless.build.viewing import mount_layers
from daemonless.config import Paths
from daemonless.files import make_private_directory, move_directory, sync, write_atomic
from daemonless.images.buildcache import StepLayer
from daemonless.images.formats import FORMATS
from daemonless.images.leases import Lease
from daemonless.images.store import ImageStore
from daemonless.isolation.rootfs import own_upper
from daemonless.isolation.task import mapped
from daemonless.isolation.userns import IdMap
from daemonless.layers.archive import descriptor_sink
from daemonless.layers.compress import Compressed, compress, wide_pipe
from daemonless.layers.layer_archive import LayerWriter
from daemonless.layers.staging import layer_record
from daemonless.layers.store import DIFF, RECORD, LayerStore, recorded_size
from daemonless.layers.walk import OPEN_DIRECTORY, walk
from daemonless.layers.worker import UnpackPool
from daemonless.oci.digest import Digest
from daemonless.oci.image import Descriptor
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Filled(Record):
    """What there is to say about a layer's files."""

    warnings: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()  # files that were written to while they were copied


_NOTHING = Filled()


class Publisher:
    """Where layers go: the store, and the lease that keeps them there until an image names them."""

    def __init__(self, paths: Paths, id_map: IdMap, lease: Lease) -> None:
        self._paths = paths
        self._id_map = id_map
        self._lease = lease
        self._blobs = ImageStore(paths.data).blobs
        self._layers = LayerStore(paths.data, id_map.key)

    def publish(
        self,
        directory: str,
        lowers: tuple[str, ...],
        times: Times | None,
        fill: Callable[[], Filled] = lambda: _NOTHING,
    ) -> tuple[StepLayer, Filled]:
        """Make a layer of `upper` in the step's directory; return it, and what there is to say about it.

        `lowers` are the layers below, from the top, and `rootfs` in the directory is empty, to mount
        on. `fill` is called before, as root of the user namespace and in a mount namespace of its own,
        to write into `upper`. The caller must have a single thread. Raises what `fill` raises, OSError,
        or DaemonlessError for a file that cannot be archived.
        """
        make_private_directory(self._layers.directory)
        with self._blobs.stage() as staged:
            packed, told = self._archive(directory, lowers, times, fill, staged.write)
            self._lease.keep(packed.digest, packed.diff_id)
            failpoints.reach("build.layer")
            descriptor = Descriptor(
                media_type=FORMATS["oci"].layer_type("gzip"), digest=packed.digest, size=packed.size
            )
            if not self._layers.has(packed.diff_id):
                if told["omitted"]:
                    self._unpack(staged.path, descriptor, packed.diff_id)
                else:
                    self._adopt(directory, packed.diff_id, told)
            failpoints.reach("build.blob")
            if not self._blobs.is_intact(packed.digest, packed.size):
                staged.commit(packed.digest)
                staged.sync()
        size = recorded_size(f"{self._layers.directory}/{packed.diff_id.hex}")
        layer = StepLayer(descriptor=descriptor, diff_id=packed.diff_id, size=size)
        return layer, Filled(warnings=(*told["warnings"], *told["omitted"]), changed=tuple(told["changed"]))

    def _archive(
        self,
        directory: str,
        lowers: tuple[str, ...],
        times: Times | None,
        fill: Callable[[], Filled],
        write: Callable[[bytes], object],
    ) -> tuple[Compressed, dict[str, Any]]:
        """Compress the archive that a child, root of the user namespace, writes of the files."""
        read_end, write_end = wide_pipe()

        def work() -> dict[str, Any]:
            sc.mount(None, b"/", None, sc.MS_REC | sc.MS_PRIVATE)
            upper = f"{directory}/upper"
            own_upper(upper)
            filled = fill()
            top_fd = os.open(upper, OPEN_DIRECTORY)
            if times:
                _set_times(top_fd, times)
            below_fd = mount_layers(lowers, f"{directory}/rootfs")
            layer = LayerWriter(descriptor_sink(write_end), top_fd, below_fd, becomes_layer=True)
            layer.write()
            return {
                "omitted": layer.omitted.lines(),
                "warnings": filled.warnings,
                "changed": filled.changed,
                "size": layer.size,
                "entries": layer.entries,
            }

        with open(read_end, "rb", buffering=0):
            try:
                task = mapped(work, self._id_map, sc.CLONE_NEWNS)
            finally:
                os.close(write_end)
            with task:
                packed = compress(read_end, write)
                return packed, task.wait()

    def _adopt(self, directory: str, diff_id: Digest, told: dict[str, Any]) -> None:
        """Give the files the layer's name, once all of them are durable."""
        layer = f"{directory}/layer"
        os.mkdir(layer)
        os.chmod(layer, 0o755)  # whatever the umask: a container whose root is somebody else reads it
        move_directory(f"{directory}/upper", f"{layer}/{DIFF}")
        record = layer_record(diff_id, told["size"], told["entries"])
        write_atomic(f"{layer}/{RECORD}", record, durable=False, mode=0o644)
        fd = os.open(layer, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sc.syncfs(fd)
        finally:
            os.close(fd)
        failpoints.reach("build.adopt")
        try:
            os.rename(layer, f"{self._layers.directory}/{diff_id.hex}")
            sync(self._layers.directory)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # another build was faster
                raise

    def _unpack(self, blob: str, descriptor: Descriptor, diff_id: Digest) -> None:
        with UnpackPool(self._paths.data, self._id_map) as pool:
            pool.submit(blob, diff_id, descriptor.media_type)
            pool.wait()


def _set_times(top_fd: int, times: Times) -> None:
    """Set the times of all files; those of the archive are then the same as those on the disk."""
    epoch = times.epoch * 10**9

    def visit(dir_fd: int, name: bytes, path: bytes) -> int:
        status = os.lstat(name, dir_fd=dir_fd)
        if times.all or status.st_mtime_ns > epoch:
            os.utime(name, ns=(epoch, epoch), dir_fd=dir_fd, follow_symlinks=False)
        if status.st_mode & 0o170000 == 0o040000:
            return os.open(name, OPEN_DIRECTORY, dir_fd=dir_fd)
        return -1

    walk(os.open(".", OPEN_DIRECTORY, dir_fd=top_fd), visit)
