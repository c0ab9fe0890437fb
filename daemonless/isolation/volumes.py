"""Mounts that need more than the runtime spec says: volumes, throw-away overlays, secrets, given owners.

A volume's top is opened by a path of ours and everything below it by descriptor: what containers
that share the volume make of it meanwhile leads nowhere else (CVE-2024-45310, CVE-2025-9566).

The first start that uses a volume fills it with what the image holds at the mount point. The copy
is made in NAME/_new, synced, renamed to NAME/_full when it is complete, and moved into NAME/_data
from there, so that a start that is killed leaves nothing half done: an unfinished _new is thrown
away by the next start, a _full is moved on. Whoever starts holds the volume's lock and has made
_new; that it is there says that the volume may be filled.
"""

from __future__ import annotations

import os

from daemonless import failpoints
from daemonless import syscalls as sc
from daemonless.errors import SetupFailed, printable
from daemonless.files import open_in_root
from daemonless.isolation.copying import copy_attributes, copy_content
from daemonless.isolation.mounts import Options, clone_tree, new_filesystem, place
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_EINVAL, _ELOOP = 22, 40
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Source(Record):
    """Where a mount comes from, in addition to what the spec says of it. A plain bind has none.

    `rootfs.mount_all` is given these and calls `attach`; it need not import this module.
    """

    volume: str = ""  # directory of a volume, whose _data is mounted
    subpath: str = ""  # what of it, resolved inside
    fill: bool = False  # nobody has used the volume yet
    copy: bool = True  # fill it with the image's content, too, not only with its owner and mode
    owner: tuple[int, int] | None = None  # whom to give the top of a new volume to
    upper: str = ""  # directory of an overlay, with an empty `upper` and `work`
    chown: bool = False  # give all of it to the container's user
    mode: int = -1  # of a file that is the container's alone, a secret, together with `owner`

    def attach(self, root_fd: int, mount: dict[str, Any]) -> list[Owed]:
        """Make one mount of the spec; return what is to be given to the container's user.

        Raises OSError or SetupFailed.
        """
        options = Options(mount["options"])
        destination = os.fsencode(mount["destination"])
        owed: list[Owed] = []
        if self.volume:
            tree = self._volume_tree(root_fd, destination, options, owed)
        elif self.mode >= 0:
            tree = self._file_tree(mount["source"], options)
        elif mount["type"] == "bind":
            fd = os.open(mount["source"], os.O_PATH | os.O_CLOEXEC)
            tree = clone_tree(fd, options)
            owed.append(Owed(fd=fd, recursive=True))
        else:
            if self.upper:
                _own_upper(options.data, self.upper)
            tree = new_filesystem(mount["type"], mount["source"], options)
            if self.chown:
                owed.append(Owed(fd=os.open(b".", _DIRECTORY, dir_fd=tree), recursive=True))
        place(tree, root_fd, destination, options)
        return owed

    def _file_tree(self, path: str, options: Options) -> int:
        """Bind a file of the container's bundle, given to its owner among the container's users."""
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if self.owner:
                own(fd, *self.owner)
            os.fchmod(fd, self.mode)
            return clone_tree(fd, options)
        finally:
            os.close(fd)

    def open(self) -> int:
        """Return a descriptor of what is mounted of the volume. Raises OSError or SetupFailed."""
        data = os.open(f"{self.volume}/_data", _DIRECTORY)
        if not self.subpath:
            return data
        try:
            return _open_below(data, os.fsencode(self.subpath))
        finally:
            os.close(data)

    def _volume_tree(self, root_fd: int, destination: bytes, options: Options, owed: list[Owed]) -> int:
        data = self.open()
        if self.fill:  # which no subpath is
            # The root alone: what the image has at the mount point, not what is mounted there.
            flags = sc.OPEN_TREE_CLONE | sc.OPEN_TREE_CLOEXEC | sc.AT_EMPTY_PATH
            image_root = sc.open_tree(root_fd, b"", flags)
            if _fill(image_root, destination, self, data):
                owed.append(Owed(fd=os.dup(data), recursive=False))
            os.close(image_root)
        tree = clone_tree(data, options)
        if self.chown:
            owed.append(Owed(fd=data, recursive=True))
        else:
            os.close(data)
        return tree


class Owed(Record):
    """A file that the container's user is to own, once it is known who that is."""

    fd: int
    recursive: bool

    def give(self, uid: int, gid: int) -> None:
        """Change the owner of the file, or of all that is below a directory; closes the descriptor.

        Links themselves are given away, never what they point to, and no other mount is entered.
        Raises SetupFailed for what does not belong to an id of the container.
        """
        status = os.fstat(self.fd)
        try:
            _give_one(f"/proc/self/fd/{self.fd}", None, status, uid, gid, follow=True)
            if self.recursive and status.st_mode & 0o170000 == 0o040000:
                _give_content(os.open(b".", _DIRECTORY, dir_fd=self.fd), uid, gid)
        except PermissionError as error:
            raise SetupFailed(
                f"cannot change the owner of a mounted file to {uid}:{gid}: {error.strerror}",
                "option U needs files whose owners are mapped into the container",
            ) from error
        finally:
            os.close(self.fd)


def own(file: int | str, uid: int, gid: int) -> None:
    """Give a file, open or by a path of ours, to ids of the container.

    Raises SetupFailed for an id that is not mapped, and OSError.
    """
    try:
        os.chown(file, uid, gid)
    except OSError as error:
        if error.errno != _EINVAL:
            raise
        raise not_mapped(uid, gid) from error


def not_mapped(uid: int, gid: int) -> SetupFailed:
    """Return the error for ids of the container that a file cannot have."""
    return SetupFailed(
        f"a file cannot be given to {uid}:{gid}: the id is not mapped into the container",
        "the range of /etc/subuid or /etc/subgid ends below it",
    )


def _open_below(data: int, path: bytes) -> int:
    try:
        return open_in_root(data, path, os.O_PATH)
    except OSError as error:
        raise SetupFailed(f"cannot open {printable(path)} in the volume: {error.strerror}") from error


def _own_upper(data: list[str], upper: str) -> None:
    """Give an overlay's upper directory, the root of what is seen, the lower one's attributes."""
    lower = next(option.partition("=")[2] for option in data if option.startswith("lowerdir="))
    path = lower.replace("\\:", ":").replace("\\\\", "\\")
    below = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    above = os.open(f"{upper}/upper", _DIRECTORY)
    copy_attributes(below, above)
    os.close(below)
    os.close(above)


def _fill(image_root: int, destination: bytes, source: Source, data: int) -> bool:
    """Fill a new volume from the image's root; return whether the container's user is still to get it.

    A volume that holds anything is left exactly as it is.
    """
    volume = os.open(source.volume, _DIRECTORY)
    try:
        is_complete = _is_there(volume, "_full")
        if not is_complete and (not _is_there(volume, "_new") or os.listdir(data)):
            return False
        image = _open_image_directory(image_root, destination)
        if image >= 0 and source.copy and not is_complete:
            is_complete = _copy(image, volume)
        if is_complete:
            _move_in(volume, data)
        if image >= 0:
            copy_attributes(image, data)
            os.close(image)
        if source.owner:
            own(data, *source.owner)
        return image < 0 and not source.owner
    finally:
        if _is_there(volume, "_new"):
            os.rmdir("_new", dir_fd=volume)
        os.close(volume)


def _is_there(dir_fd: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _open_image_directory(root_fd: int, path: bytes) -> int:
    """Open the directory that the image has at `path`, links followed inside it; -1 if there is none."""
    try:
        return open_in_root(root_fd, path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return -1


def _copy(image: int, volume: int) -> bool:
    """Copy the image's directory to _full; return whether there was anything to copy."""
    if not os.listdir(image):
        return False
    new = os.open("_new", _DIRECTORY, dir_fd=volume)
    copy_content(image, new)
    sc.syncfs(new)  # or a power loss could leave a volume of empty files that counts as filled
    os.close(new)
    failpoints.reach("volume.copied")
    os.rename("_new", "_full", src_dir_fd=volume, dst_dir_fd=volume)
    return True


def _move_in(volume: int, data: int) -> None:
    """Move what is in _full into the volume; what another container has made there stays."""
    failpoints.reach("volume.move")
    full = os.open("_full", _DIRECTORY, dir_fd=volume)
    for name in os.listdir(full):
        if not _is_there(data, name):
            os.rename(name, name, src_dir_fd=full, dst_dir_fd=data)
    is_empty = not os.listdir(full)
    os.close(full)
    if is_empty:
        os.rmdir("_full", dir_fd=volume)


def _give_content(top: int, uid: int, gid: int) -> None:
    """Change the owner of all that is below a directory; closes its descriptor."""
    device = os.fstat(top).st_dev
    stack = [(top, os.listdir(top))]
    try:
        while stack:
            directory, names = stack[-1]
            if not names:
                os.close(stack.pop()[0])
                continue
            inner = _give_entry(directory, names.pop(), device, uid, gid)
            if inner >= 0:
                stack.append((inner, os.listdir(inner)))
    finally:
        for directory, _ in stack:
            os.close(directory)


def _give_entry(directory: int, name: str, device: int, uid: int, gid: int) -> int:
    """Change the owner of one entry; return a descriptor if it is a directory to go on with, or -1."""
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if status.st_dev != device:
            return -1
        _give_one(name, directory, status, uid, gid, follow=False)
        if status.st_mode & 0o170000 == 0o040000:
            return os.open(name, _DIRECTORY, dir_fd=directory)
    except (FileNotFoundError, NotADirectoryError):
        pass  # another container that shares it is at work
    except OSError as error:
        if error.errno != _ELOOP:  # a link has taken the directory's place
            raise
    return -1


def _give_one(
    name: str, directory: int | None, status: os.stat_result, uid: int, gid: int, *, follow: bool
) -> None:
    if (status.st_uid, status.st_gid) != (uid, gid):
        os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=follow)
