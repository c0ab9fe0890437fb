"""The files of a stage, all layers as one tree, put into a directory or an archive of the user.

One process, root of the user namespace, reads the tree; another one, with nothing but the user's own
rights, writes into the directory. Between them runs a tar stream, as with `cp`.
"""

from __future__ import annotations

import os

from daemonless import syscalls as sc
from daemonless.build.viewing import mount_layers
from daemonless.errors import Conflict, DaemonlessError
from daemonless.files import open_beneath
from daemonless.isolation.task import Task, mapped, received
from daemonless.isolation.userns import IdMap
from daemonless.layers.archive import ArchiveWriter, descriptor_sink
from daemonless.layers.extract import Extractor
from daemonless.layers.incoming import CHUNK
from daemonless.layers.tar import TarReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_PERMISSIONS = 0o777  # a setuid program of the image would be one of the user's here


def write_tree(lowers: Sequence[str], fd: int, id_map: IdMap, place: str) -> list[str]:
    """Write the merged layers, from the top, to `fd` as a tar archive; return what it lacks, in lines.

    `place` is an empty directory to mount on. The caller has a single thread. Raises OSError.
    """
    with _reader(lowers, fd, id_map, place) as reader:
        told: list[str] = reader.wait()
    return told


def write_files(lowers: Sequence[str], path: str, id_map: IdMap, place: str) -> list[str]:
    """Put the merged layers into the directory at `path`, which is made if it is missing.

    What is there already stays, unless the layers have a file of that name. Returns what was left
    out, in lines. Raises Conflict for a directory in the place of a file or the other way round,
    DaemonlessError for what cannot be written. The rest as `write_tree`.
    """
    try:
        os.makedirs(path, exist_ok=True)
        top = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise DaemonlessError(f"cannot write to {path}: {error.strerror}") from error
    read_end, write_end = os.pipe()
    try:
        reader = _reader(lowers, write_end, id_map, place)
    finally:
        os.close(write_end)
    return received(reader, read_end, lambda: _extract(read_end, top, path))


def _reader(lowers: Sequence[str], fd: int, id_map: IdMap, place: str) -> Task:
    def work() -> list[str]:
        sc.mount(None, b"/", None, sc.MS_REC | sc.MS_PRIVATE)
        root_fd = mount_layers(lowers, place)
        archive = ArchiveWriter(descriptor_sink(fd))
        if root_fd >= 0:  # there are layers
            archive.add_content(root_fd)
        archive.finish()
        return list(archive.omitted.lines())

    return mapped(work, id_map, sc.CLONE_NEWNS)


def _extract(fd: int, top: int, path: str) -> list[str]:
    extractor = Extractor(
        lambda below: open_beneath(top, below or b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC),
        owner_of=lambda entry: None,
        mode_mask=_PERMISSIONS,
    )
    reader = TarReader(iter(lambda: os.read(fd, CHUNK), b""))
    try:
        for entry in reader:
            extractor.add(entry.name, entry, reader)
        extractor.finish()
    except Conflict as error:
        raise Conflict(error.message, f"remove what is in the way in {path}, or choose another") from None
    except OSError as error:
        raise DaemonlessError(f"cannot write to {path}: {error.strerror}") from error
    finally:
        extractor.close()
    return list(extractor.omitted.lines())
