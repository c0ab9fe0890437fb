"""cp: files between containers, this machine, and tar streams, by docker's rules.

The source is archived by one process and extracted by another, each with the credentials of its
side; between them runs a tar stream in which the source is called "top". Paths of a container
are resolved inside its root, at the time they are used, so a container that swaps links while
we copy leads us to other files of its own at most.

    source      "a/." means what is in the directory a; a trailing slash demands a directory
    a link      as a source is copied as it is, unless it is to be followed or has a trailing slash;
                as a destination it is followed
    a file      goes into a destination that is a directory, else becomes the destination; where
                that does not exist, its parent must, and it must not end in a slash
    a directory goes into a destination that is a directory (with "/." its content does); becomes
                one that does not exist; is refused for a file
"""

from __future__ import annotations

import os
import stat

from daemonless.config import Paths
from daemonless.containers.filesystem import in_root
from daemonless.containers.store import Container
from daemonless.errors import Conflict, DaemonlessError, InvalidData, NotFound, printable
from daemonless.files import open_beneath, open_in_root
from daemonless.isolation import identity
from daemonless.isolation.task import Task, fork_plain, received
from daemonless.isolation.userns import mapped_ids
from daemonless.layers.archive import ArchiveWriter, describe, descriptor_sink
from daemonless.layers.extract import Extractor
from daemonless.layers.incoming import CHUNK, decompressed, reader
from daemonless.layers.tar import TarReader
from daemonless.layers.tar_header import DIRECTORY, HARD_LINK, Entry
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daemonless.isolation.userns import Range

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PATH_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_MAX_LINKS = 40
_TOP = b"top"  # what the source is called on its way
_KERNELS = (b"proc", b"sys", b"sys/fs/cgroup", b"dev/pts", b"dev/mqueue")


class Place(Record):
    """A path of a container, or of this machine if `container` is None."""

    path: str
    container: Container | None = None

    @property
    def name(self) -> bytes:
        """What the thing at the path is called; empty for what only a directory's content can mean."""
        name = os.fsencode(os.path.normpath(self.path)).rpartition(b"/")[2]
        return b"" if self.means_content else name

    @property
    def means_content(self) -> bool:
        """Whether the path stands for what is in a directory: it ends in "/." or is the root."""
        base = self.path.rpartition("/")[2]
        return base in (".", "..") or not self.path.strip("/")

    def __str__(self) -> str:
        shown = printable(self.path)
        return f"{self.container.name}:{shown}" if self.container else shown


class CopyRequest(Record):
    """How to copy."""

    follow: bool = False  # what a link as the source points to
    overwrite: bool = False  # let directories and other things replace each other
    archive: bool = True  # files copied into a container belong to its user, not to who owns the source


def copy(paths: Paths, source: Place, target: Place, request: CopyRequest) -> list[str]:
    """Copy between a container and this machine, or between containers; return warnings.

    Raises NotFound for a source or a parent that does not exist, Conflict for what the rules
    refuse, DaemonlessError for what cannot be read or written.
    """
    read_end, write_end = os.pipe()

    def produce() -> list[str]:
        os.close(read_end)
        return _visit(paths, source, lambda view: _send(view, source, request, write_end))

    producer = Task(produce, fork_plain)
    os.close(write_end)
    return received(producer, read_end, lambda: extract(paths, read_end, target, request, source))


def archive(paths: Paths, source: Place, fd: int, request: CopyRequest) -> list[str]:
    """Write the source as a tar archive under its own name to `fd`; errors as `copy`."""
    return _visit(paths, source, lambda view: _send(view, source, request, fd, source.name))


def extract(
    paths: Paths, fd: int, target: Place, request: CopyRequest, source: Place | None = None
) -> list[str]:
    """Put a tar archive into a directory, or what `copy` sends for `source` to its place.

    An archive from outside may be compressed; what that takes is loaded before anything of the
    container is in sight (CVE-2019-14271).
    """
    chunks = iter(lambda: os.read(fd, CHUNK), b"") if source else decompressed(reader(fd))
    return _visit(paths, target, lambda view: _receive(view, target, request, chunks, source), write=True)


class _View:
    """One side's files: this machine's, or a container's below its root."""

    def __init__(self, root_fd: int = -1) -> None:
        self.root_fd = root_fd

    def open(self, path: bytes, flags: int) -> int:
        """Open a path as this side understands it."""
        return os.open(path, flags) if self.root_fd < 0 else open_in_root(self.root_fd, path, flags)

    def opener(self, directory: bytes) -> Callable[[bytes], int]:
        """Return what opens directories below `directory` for who puts files into them.

        In a container links may lead anywhere in it. On this machine they may not lead out of the
        directory: who made the archive may have made the link.
        """
        if self.root_fd >= 0:
            return lambda path: self.open(directory + b"/" + path, _PATH_DIRECTORY)
        top = os.open(directory, _PATH_DIRECTORY)
        return lambda path: open_beneath(top, path or b".", _PATH_DIRECTORY)


def _visit(
    paths: Paths, place: Place, work: Callable[[_View], list[str]], *, write: bool = False
) -> list[str]:
    """Call `work` with the files of a place, under the credentials of that side."""
    try:
        if place.container is None:
            return work(_View())
        told: list[str] = in_root(paths, place.container, lambda fd: work(_View(fd)), write=write)
    except BrokenPipeError:
        raise
    except OSError as error:
        doing = "write to" if write else "read"
        raise DaemonlessError(f"cannot {doing} {place}: {error.strerror}") from error
    return told


# --- the source -------------------------------------------------------------------------------


class _Sender(ArchiveWriter):
    """Archives a container's files without what the kernel shows in its /proc and /sys."""

    def __init__(self, fd: int, kernels: frozenset[int]) -> None:
        super().__init__(descriptor_sink(fd))
        self._kernels = kernels

    def translate(self, dir_fd: int, name: bytes, member: bytes, status: os.stat_result) -> bool:
        """Take such a file system for an empty directory."""
        if status.st_dev in self._kernels and stat.S_ISDIR(status.st_mode):
            self.write_member(describe(member + b"/", status))
            return True
        return False


def _send(view: _View, source: Place, request: CopyRequest, fd: int, member: bytes = _TOP) -> list[str]:
    dir_fd, name = _open_source(view, source, follow=request.follow)
    device = os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_dev
    sender = _Sender(fd, _kernel_devices(view) - {device})
    if member:
        sender.add(dir_fd, name, member)
    else:
        sender.add_content(dir_fd)
    sender.finish()
    return list(sender.omitted.lines())


def _kernel_devices(view: _View) -> frozenset[int]:
    found = set()
    if view.root_fd >= 0:
        own = os.fstat(view.root_fd).st_dev
        for path in _KERNELS:
            try:
                fd = view.open(path, _PATH_DIRECTORY)
            except OSError:
                continue
            found.add(os.fstat(fd).st_dev)
            os.close(fd)
        found.discard(own)  # nothing is mounted there: the container does not run
    return frozenset(found)


def _open_source(view: _View, source: Place, *, follow: bool) -> tuple[int, bytes]:
    """Return a descriptor of a directory and the source's name in it, "." for the directory itself."""
    path = os.fsencode(source.path)
    try:
        for _ in range(_MAX_LINKS):
            parent, name = _split(path)
            if name in (b"", b".", b".."):  # of these a directory is demanded, and links are followed
                return view.open(path or b"/", _OPEN_DIRECTORY), b"."
            dir_fd = view.open(parent, _OPEN_DIRECTORY)
            if not (follow and stat.S_ISLNK(os.lstat(name, dir_fd=dir_fd).st_mode)):
                os.lstat(name, dir_fd=dir_fd)
                return dir_fd, name
            path = _follow(parent, os.readlink(name, dir_fd=dir_fd))
            os.close(dir_fd)
    except FileNotFoundError:
        raise NotFound(f"no such file or directory: {source}") from None
    except NotADirectoryError:
        raise Conflict(f"{source} is not a directory") from None
    raise Conflict(f"{source} is a loop of links")


def _split(path: bytes) -> tuple[bytes, bytes]:
    """Return the directory a path is in, as something that can be opened, and its last component."""
    parent, slash, name = path.rpartition(b"/")
    return parent or (b"/" if slash else b"."), name


def _follow(parent: bytes, link: bytes) -> bytes:
    return link if link.startswith(b"/") else parent + b"/" + link


# --- the destination --------------------------------------------------------------------------


def _receive(
    view: _View, target: Place, request: CopyRequest, chunks: Iterator[bytes], source: Place | None
) -> list[str]:
    reader = TarReader(chunks)
    members = iter(reader)
    first = next(members, None)
    if first is None:
        raise InvalidData("the archive is empty")
    directory, prefix = _destination(
        view, target, source, is_directory=first.kind == DIRECTORY, overwrite=request.overwrite
    )
    _check_writable(view, target, directory)
    extractor = Extractor(
        view.opener(directory),
        owner_of=_owner(view, target, request, source),
        overwrite=request.overwrite,
        mode_mask=0o7777 if target.container else 0o777,  # setuid would be the caller's own here
    )
    entry: Entry | None = first
    try:
        while entry:
            if entry.kind == HARD_LINK:
                entry.link = _renamed(entry.link, prefix)
            extractor.add(_renamed(entry.name, prefix), entry, reader)
            entry = next(members, None)
        extractor.finish()
    finally:
        extractor.close()
    return list(extractor.omitted.lines())


def _renamed(name: bytes, prefix: bytes | None) -> bytes:
    """Return where a member goes: `prefix` takes the place of the stream's name for the source."""
    if prefix is None:
        return name
    return prefix + name[len(_TOP) :] if prefix else name[len(_TOP) :].lstrip(b"/") or b"."


def _destination(
    view: _View, target: Place, source: Place | None, *, is_directory: bool, overwrite: bool
) -> tuple[bytes, bytes | None]:
    """Return the directory to extract into, and what the source is called there.

    Of a stream from outside (no `source`) members keep their names, which None stands for.
    """
    parent, name, status = _locate(view, target)
    if status is not None and stat.S_ISDIR(status.st_mode):
        inside = parent + b"/" + name
        if source is None:
            return inside, None
        return inside, b"" if source.means_content and is_directory else source.name
    if source is None:
        raise Conflict(f"{target} is not a directory, so an archive cannot be extracted there")
    if status is not None and is_directory and not overwrite:
        raise Conflict(f"cannot copy a directory to the file {target}")
    if status is None and not is_directory and target.path.endswith(("/", "/.")):
        raise NotFound(f"the directory {target} does not exist")
    return parent, name


def _locate(view: _View, target: Place) -> tuple[bytes, bytes, os.stat_result | None]:
    """Return the directory, the name and the status (None: missing) of a destination, links followed."""
    path = os.fsencode(target.path)
    demands_directory = _split(path)[1] in (b"", b".", b"..")
    if demands_directory:
        try:
            fd = view.open(path, _PATH_DIRECTORY)
        except NotADirectoryError:
            raise Conflict(f"{target} is not a directory") from None
        except FileNotFoundError:
            path = os.fsencode(os.path.normpath(target.path))
        else:
            status = os.fstat(fd)
            os.close(fd)
            return path, b".", status
    for _ in range(_MAX_LINKS):
        parent, name = _split(path.rstrip(b"/"))
        try:
            dir_fd = view.open(parent, _PATH_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"the directory that {target} would be in does not exist") from None
        try:
            status = os.lstat(name, dir_fd=dir_fd)
            if not stat.S_ISLNK(status.st_mode):
                return parent, name, status
            path = _follow(parent, os.readlink(name, dir_fd=dir_fd))
        except FileNotFoundError:
            return parent, name, None
        finally:
            os.close(dir_fd)
    raise Conflict(f"{target} is a loop of links")


def _check_writable(view: _View, target: Place, directory: bytes) -> None:
    """Refuse what a running container with --read-only could not write to; the kernel does so for it."""
    if target.container is None or not target.container.spec()["root"].get("readonly"):
        return
    fd = view.open(directory, _PATH_DIRECTORY)
    is_root = os.fstat(fd).st_dev == os.fstat(view.root_fd).st_dev
    os.close(fd)
    if is_root:
        raise Conflict(f"the root filesystem of container {target.container.name} is read-only")


def _owner(
    view: _View, target: Place, request: CopyRequest, source: Place | None
) -> Callable[[Entry], tuple[int, int] | None]:
    """Return whom files are given to."""
    if target.container is None:
        return lambda entry: None  # this machine lets nobody give files away
    spec = target.container.spec()
    id_map = mapped_ids(spec)
    if id_map.is_single:
        return lambda entry: None
    if request.archive:
        who = identity.resolve(view.root_fd, spec["process"]["user"].get("username", ""), ())
        return lambda entry: (who.uid, who.gid)
    if source is None or source.container:
        return lambda entry: (entry.uid, entry.gid)
    return lambda entry: (_inside(id_map.uids, entry.uid), _inside(id_map.gids, entry.gid))


def _inside(ranges: tuple[Range, ...], outside: int) -> int:
    """Return the container's number for an id of this machine; root for one that it does not have."""
    for inside, first, length in ranges:
        if first <= outside < first + length:
            return inside + outside - first
    return 0
