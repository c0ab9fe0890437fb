"""Where the mounts of a RUN come from: made inside the step's own mount namespace, before its pivot.

A path that a Dockerfile, a stage or a context controls is only ever resolved below a descriptor of the
directory it belongs to (openat2(2), RESOLVE_IN_ROOT). What is mounted on a directory of the step
itself, to be copied from there, goes with the namespace and is never seen by the command.
"""

from __future__ import annotations

import os
import stat

from daemonless import failpoints
from daemonless import syscalls as sc
from daemonless.errors import SetupFailed, printable
from daemonless.files import open_in_root, write_all
from daemonless.isolation.copying import copy_attributes, copy_content
from daemonless.isolation.mounts import Options, clone_tree, mount_overlay, new_filesystem, place
from daemonless.isolation.volumes import own
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from daemonless.isolation.volumes import Owed

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_MOVE = sc.MOVE_MOUNT_F_EMPTY_PATH | sc.MOVE_MOUNT_T_EMPTY_PATH


class Tree(Record):
    """The files of a stage, an image or a context, as one directory."""

    name: str  # for messages
    lowers: tuple[str, ...]  # directories of ours, the top one first; of a context one, of the caller
    is_context: bool
    directory: str  # of the step, and for this tree alone: `merged`, and `upper` and `work` to write to
    writable: bool  # changes are thrown away
    hides: bool  # `hidden` in the directory is a layer of whiteouts for the context

    def open(self) -> int:
        """Return a descriptor of the tree's root, mounted for this namespace if need be."""
        if self.is_context and not (self.writable or self.hides):
            return os.open(self.lowers[0], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        # By descriptor, as the path of a context may be longer than what fsconfig(2) takes.
        fds = [os.open(lower, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for lower in self.lowers]
        data = ["lowerdir+=" + each for each in ([f"{self.directory}/hidden"] if self.hides else [])]
        data += [f"lowerdir+=/proc/self/fd/{fd}" for fd in fds]
        data.append("userxattr")
        if self.writable:
            self._own_upper(fds[0])
            data += [f"upperdir={self.directory}/upper", f"workdir={self.directory}/work", "volatile"]
        else:  # overlayfs wants two of them
            data.insert(-1, f"lowerdir+={self.directory}/empty")
        root = mount_overlay(Options(data), os.fsencode(f"{self.directory}/merged"))
        for fd in fds:
            os.close(fd)
        return root

    def _own_upper(self, lower: int) -> None:
        """Give the root of what is seen the attributes of the topmost layer's."""
        upper = os.open(f"{self.directory}/upper", _DIRECTORY)
        status = os.fstat(lower)
        os.fchmod(upper, status.st_mode & 0o7777)
        if not self.is_context:  # the owner of a context is nobody's business
            os.fchown(upper, status.st_uid, status.st_gid)
        os.close(upper)

    def open_source(self, path: str) -> int:
        """Return a descriptor of what is at `path` in the tree. Raises SetupFailed."""
        root = self.open()
        try:
            return open_in_root(root, os.fsencode(path), os.O_PATH)
        except (FileNotFoundError, NotADirectoryError):
            raise SetupFailed(f"cannot mount {printable(path)}: it is not in {self.name}") from None
        finally:
            os.close(root)


class TreeSource(Record):
    """A bind mount from a tree."""

    tree: Tree
    path: str

    def attach(self, root_fd: int, mount: dict[str, Any]) -> list[Owed]:
        """Make the mount. Raises SetupFailed and OSError."""
        options = Options(mount["options"])
        fd = self.tree.open_source(self.path)
        copy = clone_tree(fd, options)
        os.close(fd)
        place(copy, root_fd, os.fsencode(mount["destination"]), options)
        return []


class CacheSource(Record):
    """A cache; a new one gets its first content here, by one rename when it is complete."""

    directory: str
    uid: int
    gid: int
    mode: int | None
    origin: Tree | None = None  # of the first content; None: nothing
    path: str = "/"  # in it

    def attach(self, root_fd: int, mount: dict[str, Any]) -> list[Owed]:
        """Make the mount. Raises SetupFailed and OSError."""
        if not os.path.isdir(f"{self.directory}/_data"):  # whose lock this step has alone
            self._fill()
        options = Options(mount["options"])
        data = os.open(f"{self.directory}/_data", _DIRECTORY)
        tree = clone_tree(data, options)
        os.close(data)
        place(tree, root_fd, os.fsencode(mount["destination"]), options)
        return []

    def _fill(self) -> None:
        new = os.open(f"{self.directory}/_new", _DIRECTORY)
        mode = self.mode
        if self.origin:
            self._copy(self.origin, new)
        elif mode is None:
            mode = 0o755
        if self.uid or self.gid or not self.origin:
            own(new, self.uid, self.gid)
        if mode is not None:
            os.fchmod(new, mode)
        os.close(new)
        failpoints.reach("cache.fill")
        os.rename(f"{self.directory}/_new", f"{self.directory}/_data")

    def _copy(self, origin: Tree, new: int) -> None:
        fd = origin.open_source(self.path)
        try:
            source = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
        except NotADirectoryError:
            raise SetupFailed(
                f"a cache cannot begin as {printable(self.path)} of {origin.name}: it is not a directory"
            ) from None
        finally:
            os.close(fd)
        copy_content(source, new)
        copy_attributes(source, new)
        os.close(source)
        sc.syncfs(new)  # or a power loss could leave a cache of empty files that counts as filled


class FileSource(Record):
    """A file whose content is in no file system but memory: a secret, or a here-document."""

    directory: str  # of the step: an empty one to mount on
    content: bytes
    uid: int
    gid: int
    mode: int

    def attach(self, root_fd: int, mount: dict[str, Any]) -> list[Owed]:
        """Make the mount. Raises SetupFailed for ids that are not mapped, and OSError."""
        options = Options(mount["options"])
        memory = new_filesystem("tmpfs", "tmpfs", Options(["nosuid", "nodev", "mode=700"]))
        # Only an attached mount can be copied before Linux 6.15.
        target = os.open(self.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        sc.move_mount(memory, b"", target, b"", _MOVE)
        os.close(target)
        fd = os.open("file", _FILE, 0o600, dir_fd=memory)
        write_all(fd, self.content)
        own(fd, self.uid, self.gid)
        os.fchmod(fd, self.mode)
        tree = clone_tree(fd, options)
        os.close(fd)
        os.close(memory)
        place(tree, root_fd, os.fsencode(mount["destination"]), options)
        return []


class SocketSource(Record):
    """A socket of the step's own, given to one of the container's users."""

    path: str
    uid: int
    gid: int
    mode: int

    def attach(self, root_fd: int, mount: dict[str, Any]) -> list[Owed]:
        """Make the mount. Raises SetupFailed for ids that are not mapped, and OSError."""
        options = Options(mount["options"])
        fd = os.open(self.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise SetupFailed("the socket of the ssh agent is gone")
        link = f"/proc/self/fd/{fd}"  # a socket cannot be opened for fchown(2)
        own(link, self.uid, self.gid)
        os.chmod(link, self.mode)
        tree = clone_tree(fd, options)
        os.close(fd)
        place(tree, root_fd, os.fsencode(mount["destination"]), options)
        return []
