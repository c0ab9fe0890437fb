"""A volume's content as a tar archive, out and in.

Both work in a child that is root of the user's id map, so owners are the numbers that containers
see. Containers may use the volume meanwhile and swap what they like: everything is opened by
descriptor and no link is followed, so nothing but the volume is read or written (CVE-2023-0778).

An archive is first unpacked beside the volumes, in tmp/; only when all of it has turned out to be
good and is on the disk it is moved in, under the volume's lock, name by name with rename(2). A
bad archive, a full disk or a kill before that leaves the volume as it was.
"""

from __future__ import annotations

import errno
import os
import stat

from daemonless import failpoints, syscalls
from daemonless.config import Paths
from daemonless.errors import Conflict, InvalidData, NotFound, Unsupported, printable
from daemonless.isolation.copying import copy_attributes
from daemonless.isolation.task import mapped
from daemonless.isolation.userns import IdMap, is_mapped, load_id_map
from daemonless.layers import trash, xattrs
from daemonless.layers.archive import ArchiveWriter, describe, descriptor_sink
from daemonless.layers.extract import Extractor, open_or_make
from daemonless.layers.tar import TarReader
from daemonless.layers.walk import OPEN_DIRECTORY
from daemonless.volumes.store import Volume, VolumeStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemonless.layers.tar_header import Entry

_TRIES = 100  # to move one name in, while containers change what is there
_CHANGED = frozenset((errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENOENT, errno.ENOTDIR, errno.ENOTEMPTY))


def export(volume: Volume, fd: int) -> list[str]:
    """Write what is in the volume to `fd`, its top directory first; return warnings.

    Equal content makes an equal archive. Raises NotFound if the volume is removed meanwhile,
    DaemonlessError for what cannot be read, OSError.
    """
    _check_plain(volume)

    def work() -> list[str]:
        top = os.open(volume.mountpoint, OPEN_DIRECTORY)
        archive = ArchiveWriter(descriptor_sink(fd))
        entry = describe(b"./", os.fstat(top))
        entry.xattrs = xattrs.read(top, b"./", archive.omitted)
        archive.write_member(entry)
        archive.add_content(top)
        if not _is_at(top, volume.mountpoint):
            raise NotFound(f"volume {volume.name} was removed while it was exported")
        archive.finish()
        return list(archive.omitted.lines())

    with mapped(work, load_id_map(os.getuid(), os.getgid())) as task:
        warnings: list[str] = task.wait()
    return warnings


def import_archive(paths: Paths, volume: Volume, chunks: Iterator[bytes]) -> list[str]:
    """Put the members of a tar archive into the volume; return warnings.

    Files replace files, directories are merged, and where kinds differ the archive's counts. Raises
    InvalidData for a bad archive, and Conflict if containers change the volume too fast.
    """
    _check_plain(volume)
    id_map = load_id_map(os.getuid(), os.getgid())
    failpoints.reach("volume.import")
    staged = VolumeStore(paths).stage(volume.name)
    attic = f"{staged.directory}/replaced"
    try:
        os.mkdir(attic, 0o700)
        os.mkdir(staged.mountpoint, 0o755)
        with mapped(lambda: _unpack(staged.mountpoint, chunks, id_map), id_map) as task:
            described, warnings = task.wait()
        with volume:
            for unfinished in ("_new", "_full"):  # of a first start that was killed
                if os.path.lexists(f"{volume.directory}/{unfinished}"):
                    trash.discard(paths.data, f"{volume.directory}/{unfinished}")
            failpoints.reach("volume.merge")
            move = _Move(attic, frozenset(described))
            with mapped(lambda: move.all(staged.mountpoint, volume.mountpoint), id_map) as task:
                task.wait()
            failpoints.reach("volume.merged")
            if volume.needs_copy_up:  # the image's content would be a second beginning
                volume.set_used()
    finally:
        trash.discard(paths.data, staged.directory)
        staged.release()
    return list(warnings)


def _check_plain(volume: Volume) -> None:
    """Refuse volumes whose content is not in a directory of ours. Raises Unsupported."""
    if not volume.options:
        return
    device = volume.options.get("device", "")
    if volume.options.get("type") == "tmpfs":
        raise Unsupported(f"volume {volume.name} is in the memory of each container that runs with it")
    raise Unsupported(
        f"volume {volume.name} stands for {printable(device)} of this machine",
        "archive that directory itself, with tar",
    )


def _is_at(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


# --- unpacking, in a directory that nobody else uses ------------------------------------------


def _unpack(path: str, chunks: Iterator[bytes], id_map: IdMap) -> tuple[list[int], list[str]]:
    """Unpack into the directory `path`; return the inodes of the archive's directories, and warnings."""
    os.umask(0)
    top = os.open(path, OPEN_DIRECTORY)
    reader = TarReader(chunks)
    extractor = Extractor(
        lambda parent: open_or_make(top, parent),
        owner_of=lambda entry: _owner(entry, id_map),
        overwrite=True,
        keep_top=False,
    )
    try:
        for entry in reader:
            extractor.add(entry.name, entry, reader)
        extractor.finish()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        raise InvalidData(f"member {reader.count}: {error.strerror}") from None
    finally:
        extractor.close()
    syscalls.syncfs(top)  # or a power loss could leave empty files with the names of the new ones
    return sorted(extractor.described), list(extractor.omitted.lines())


def _owner(entry: Entry, id_map: IdMap) -> tuple[int, int] | None:
    """Return whom a member belongs to; with a single id everything is its own."""
    if id_map.is_single:
        return None
    if not is_mapped(id_map.uids, entry.uid) or not is_mapped(id_map.gids, entry.gid):
        raise InvalidData(
            f"{printable(entry.name)} belongs to {entry.uid}:{entry.gid}, which containers do not have",
            "the range of /etc/subuid or /etc/subgid ends below it",
        )
    return entry.uid, entry.gid


# --- moving in --------------------------------------------------------------------------------


class _Move:
    """Moves a tree into another one that is in use; what gives way goes to the directory `attic`.

    `described` are the inodes of the directories whose owner, mode and time count; the others are
    there because something is in them.
    """

    def __init__(self, attic: str, described: frozenset[int]) -> None:
        self._attic = attic
        self._described = described
        self._attic_fd = -1

    def all(self, source: str, target: str) -> None:
        """Move all that is in the directory `source`; raises Conflict or OSError."""
        self._attic_fd = os.open(self._attic, OPEN_DIRECTORY)
        new, old = os.open(source, OPEN_DIRECTORY), os.open(target, OPEN_DIRECTORY)
        self._merge(new, old)
        syscalls.syncfs(self._attic_fd)

    def _merge(self, new: int, old: int) -> None:
        """Move what is in one directory into another, which gets its attributes; closes both."""
        status = os.fstat(new)
        try:
            for name in os.listdir(new):
                self._move(new, old, name)
            if status.st_ino in self._described:
                copy_attributes(new, old)
                os.utime(old, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(new)
            os.close(old)

    def _move(self, new: int, old: int, name: str) -> None:
        is_directory = stat.S_ISDIR(os.lstat(name, dir_fd=new).st_mode)
        for _ in range(_TRIES):
            try:
                if self._is_free(old, name, is_directory):
                    os.rename(name, name, src_dir_fd=new, dst_dir_fd=old)
                    return
                there = os.open(name, OPEN_DIRECTORY, dir_fd=old)
            except OSError as error:
                if error.errno not in _CHANGED:
                    raise
                continue  # a container was faster; what is there now decides
            self._merge(os.open(name, OPEN_DIRECTORY, dir_fd=new), there)
            return
        raise Conflict(f"{printable(name)} is changed by containers all the time", "stop them, and try again")

    def _is_free(self, old: int, name: str, is_directory: bool) -> bool:
        """Return whether `name` can be renamed to, what is in the way cleared; False for two directories."""
        try:
            mode = os.lstat(name, dir_fd=old).st_mode
        except FileNotFoundError:
            return True
        if is_directory and stat.S_ISDIR(mode):
            return False
        if is_directory or stat.S_ISDIR(mode):
            os.rename(name, os.urandom(8).hex(), src_dir_fd=old, dst_dir_fd=self._attic_fd)
        return True
