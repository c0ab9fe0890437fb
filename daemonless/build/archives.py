"""ADD: archives among its sources are unpacked, whatever they are called."""

from __future__ import annotations

import errno
import os
import stat

from daemonless.build.contents import open_file, open_source
from daemonless.errors import DaemonlessError, InvalidData, printable
from daemonless.layers.extract import Extractor, open_or_make
from daemonless.layers.incoming import decompressed
from daemonless.layers.tar import TarReader
from daemonless.layers.tar_header import parse_header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from daemonless.build.selection import Root
    from daemonless.dockerfile.steps import CopyWork
    from daemonless.layers.tar_header import Entry

_BLOCK = 512


def is_unpacked(root: Root, work: CopyWork) -> bool:
    """Return whether a source is an archive and to be unpacked; one from a URL only if that is said."""
    wanted = work.unpack if work.unpack is not None else work.is_add and not root.tree.file
    if not wanted or root.is_directory or not root.directories[0].files:
        return False
    if not stat.S_ISREG(root.directories[0].files[0][1].st_mode):
        return False
    fd = open_root_file(root)
    try:
        return is_archive_start(lambda size, at: os.pread(fd, size, at))
    finally:
        os.close(fd)


def open_root_file(root: Root) -> int:
    """Open the one file that a root is."""
    directory = root.directories[0]
    source = open_source(root.tree.fd, directory)
    try:
        return open_file(source, directory, directory.files[0][0])
    finally:
        os.close(source)


def is_archive_start(read_at: Callable[[int, int], bytes]) -> bool:
    """Return whether a file is a tar archive, plain or compressed, with at least one member.

    `read_at` reads from it, given how many bytes and from where.
    """
    position = 0

    def read(size: int) -> bytes:
        nonlocal position
        data = read_at(size, position)
        position += len(data)
        return data

    block = b""
    try:
        for chunk in decompressed(read):
            block += chunk[: _BLOCK - len(block)]
            if len(block) == _BLOCK:
                parse_header(block)
                return block != bytes(_BLOCK)
    except DaemonlessError:
        pass  # something else, which begins like a compressed file or is none
    return False


def unpack(
    read: Callable[[int], bytes],
    target_fd: int,
    name: str,
    owner_of: Callable[[Entry], tuple[int, int] | None],
) -> tuple[str, ...]:
    """Unpack the archive that a function reads into the directory `target_fd`; return warnings.

    What is there is merged with directories and replaced by all else; links are followed with the
    target as the root. `owner_of` tells whom a member is given to, None for who gives nothing away.
    The umask must be 0. Raises InvalidData for a bad archive, OSError.
    """
    archive = TarReader(decompressed(read))
    extractor = Extractor(
        lambda parent: open_or_make(target_fd, parent), owner_of=owner_of, overwrite=True, keep_top=False
    )
    entry: Entry | None = None
    try:
        for entry in archive:
            extractor.add(entry.name, entry, archive)
        entry = None
        extractor.finish()
    except DaemonlessError as error:
        raise type(error)(f"{printable(name)}: {error.message}", error.hint) from None
    except OSError as error:
        if error.errno == errno.EINVAL and entry is not None:
            raise InvalidData(
                f"{printable(name)}: {printable(entry.name)} belongs to {entry.uid}:{entry.gid}, which "
                "containers do not have",
                "give all files to one owner with --chown, or your user a larger range in /etc/subuid",
            ) from None
        raise
    finally:
        extractor.close()
    return extractor.omitted.lines()
