"""The content of a cache mount as a compressed tar archive, out and in.

Both are the work of a child that is root of the user's id map, so owners are the numbers that steps
see. A cache mount is read while no step has it for itself; what is put in place is complete.
"""

from __future__ import annotations

import os

from daemonless import failpoints, syscalls
from daemonless.build.archives import unpack
from daemonless.build.bringing import fetch
from daemonless.build.cachemounts import Cache, CacheStore
from daemonless.build.caches import ForeignCache
from daemonless.errors import InvalidData
from daemonless.files import Lock
from daemonless.images.blobs import BlobStore, Staged, store_failed
from daemonless.images.cachelist import CACHE_MOUNT, MountArchive
from daemonless.isolation.task import mapped
from daemonless.layers import xattrs
from daemonless.layers.archive import ArchiveWriter, describe, descriptor_sink
from daemonless.layers.compress import compress
from daemonless.layers.incoming import reader
from daemonless.layers.walk import OPEN_DIRECTORY
from daemonless.oci.image import Descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.config import Paths
    from daemonless.isolation.userns import IdMap


def pack(id_map: IdMap, cache: Cache, staged: Staged) -> MountArchive | None:
    """Write an archive of a cache mount; None if a step has it for itself, or it is gone.

    Raises DaemonlessError for what cannot be archived, OSError.
    """
    lock = Lock(f"{cache.directory}/lock")
    try:
        if not lock.try_acquire(shared=True) or not lock.is_in_place():
            return None
        descriptor = _pack(id_map, f"{cache.directory}/_data", staged)
    except FileNotFoundError:
        return None
    finally:
        lock.release()
    name = cache.directory.rpartition("/")[2]
    return MountArchive(name=name, id=cache.id, about=cache.about, used=cache.used, descriptor=descriptor)


def _pack(id_map: IdMap, directory: str, staged: Staged) -> Descriptor:
    read_end, write_end = os.pipe()

    def work() -> None:
        top = os.open(directory, OPEN_DIRECTORY)
        archive = ArchiveWriter(descriptor_sink(write_end))
        entry = describe(b"./", os.fstat(top))
        entry.xattrs = xattrs.read(top, b"./", archive.omitted)
        archive.write_member(entry)
        archive.add_content(top)
        archive.finish()

    with open(read_end, "rb", buffering=0):
        try:
            task = mapped(work, id_map)
        finally:
            os.close(write_end)
        with task:
            packed = compress(read_end, staged.write)
            task.wait()
    return Descriptor(media_type=CACHE_MOUNT, digest=packed.digest, size=packed.size)


def bring_mount(paths: Paths, id_map: IdMap, cache: ForeignCache, archive: MountArchive) -> None:
    """Make a cache mount of what another cache has, unless there is one.

    For a process of its own, with a single thread. Raises DaemonlessError.
    """
    store, blobs = CacheStore(paths), BlobStore(paths.data)
    if os.path.isdir(f"{store.directory}/{archive.name}/_data"):
        return

    def content(directory: str) -> None:
        with mapped(lambda: _unpack(id_map, staged.path, directory), id_map) as task:
            task.wait()

    try:
        blobs.prepare()
        with blobs.stage() as staged:
            fetch(cache, archive.descriptor, staged)
            failpoints.reach("build.import_mount")
            store.fill(archive.about, archive.name, archive.used, content)
    except InvalidData as error:
        raise InvalidData(f"{cache.name}: {error.message}", error.hint) from None
    except OSError as error:
        raise store_failed("store what a build cache has", error) from error


def _unpack(id_map: IdMap, path: str, directory: str) -> None:
    os.umask(0)
    fd, target = os.open(path, os.O_RDONLY | os.O_CLOEXEC), os.open(directory, OPEN_DIRECTORY)
    is_single = id_map.is_single
    unpack(reader(fd), target, "a cache mount", lambda entry: None if is_single else (entry.uid, entry.gid))
    syscalls.syncfs(target)  # or a power loss could leave a cache of empty files that counts as filled
