"""The package's modules in one file, because loading them is half of a command's time.

Python looks for, opens and checks each of the 60 modules that `run` imports: 0.2 ms a module, as
much in all as the kernel needs to start a container. The installer compiles all modules once more,
without column tables and most docstrings, into one file beside the package:

    python -I -X no_debug_ranges -m daemonless.hotpath

and the launcher calls `activate`. A module whose source has changed since, or that is not in the
file, is imported the usual way, so that the file can be old or missing but never wrong. It is as
trusted as the .pyc files it stands for: whoever can write it can write those.

    tag, length of the index in ten digits, newline
    index: marshal of {module: (source, its mtime in ns, its size, offset, length)}
    code: marshal of each module's, at the offset counted from here

Each is read when it is imported: reading a megabyte at once cost a command 1 ms in page faults. What a
pull imports of the standard library is there as well, as most of its time is imports.
"""

from __future__ import annotations

import marshal
import posix
import sys
from _frozen_importlib import ModuleSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from types import CodeType, ModuleType

    Entry = tuple[str, int, int, int, int]  # the source is relative to the package, or absolute

FILE_NAME = "hotpath.bin"
_PACKAGE = "daemonless"
_DOCUMENTED = f"{_PACKAGE}.commands."  # --help shows what their docstrings say
# What imports that of the standard library which is worth having; ssl last, as the first works without it.
_IMPORTING = ("daemonless.actions.pulling", "daemonless.layers.server", "ssl")
_DIRECTORY = __file__.rpartition("/")[0]
_TAG = f"{sys.implementation.cache_tag} 2 ".encode()
_HEAD = len(_TAG) + 11


class HotPath:
    """A meta path finder and loader (importlib.abc) for the modules of one file."""

    def __init__(self, file: FileIO, directory: str = _DIRECTORY) -> None:
        """`directory` is the package's. Raises ValueError, EOFError or TypeError if the file is no such."""
        head = file.read(_HEAD)
        if not head.startswith(_TAG):
            raise ValueError("not modules for this Python")
        length = int(head[len(_TAG) :])
        self._index: dict[str, Entry] = marshal.loads(file.read(length))
        self._start = _HEAD + length
        self._path = file.name
        self._identity = _identity(file.fileno())
        self._directory = directory
        self._found: dict[str, bytes] = {}

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return the spec of a module whose source is the one that was compiled."""
        entry = self._index.get(name)
        if entry is None:
            return None
        source, mtime, size, offset, length = entry
        if source[0] != "/":
            source = f"{self._directory}/{source}"
        try:
            status = posix.stat(source)
            if (status.st_mtime_ns, status.st_size) != (mtime, size):
                return None
            self._found[name] = self._read(offset, length)
        except OSError:
            return None
        directory, _, file = source.rpartition("/")
        is_package = file == "__init__.py"
        # What the loader protocol asks for is here; its abstract class would have to be imported.
        spec = ModuleSpec(name, self, origin=source, is_package=is_package)  # type: ignore[arg-type]
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [directory]
        return spec

    def _read(self, offset: int, length: int) -> bytes:
        """Return a part of the file, opened anew: a descriptor that stays open might reach a container."""
        fd = posix.open(self._path, posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            if _identity(fd) != self._identity:
                raise OSError("another file has taken its place")
            return posix.pread(fd, length, self._start + offset)
        finally:
            posix.close(fd)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave the creation of the module to the import system."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code, which is then no longer kept."""
        code: CodeType = marshal.loads(self._found.pop(module.__name__))
        exec(code, module.__dict__)


def _identity(fd: int) -> tuple[int, int, int]:
    status = posix.fstat(fd)
    return status.st_dev, status.st_ino, status.st_mtime_ns


def activate() -> None:
    """Import the package's modules from the file from now on, if it is there and of this Python."""
    try:
        with open(f"{_DIRECTORY}/{FILE_NAME}", "rb", buffering=0) as file:
            finder = HotPath(file)
    except (OSError, EOFError, ValueError, TypeError):
        return
    sys.meta_path.insert(0, finder)


def compile_modules(directory: str = _DIRECTORY) -> bytes:
    """Return the content of the file for the package in `directory`."""
    from glob import glob  # noqa: PLC0415 - the launcher's way here needs no such thing

    sources = dict(_foreign_sources())
    for path in glob("**/*.py", root_dir=directory, recursive=True):
        parts = [_PACKAGE, *path.removesuffix(".py").split("/")]
        sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    index: dict[str, Entry] = {}
    codes = []
    offset = 0
    for name, source in sorted(sources.items()):
        path = source if source[0] == "/" else f"{directory}/{source}"
        optimize = 0 if name.startswith(_DOCUMENTED) else 2
        status = posix.stat(path)
        with open(path, "rb") as file:
            code = marshal.dumps(compile(file.read(), path, "exec", dont_inherit=True, optimize=optimize))
        index[name] = source, status.st_mtime_ns, status.st_size, offset, len(code)
        codes.append(code)
        offset += len(code)
    first = marshal.dumps(index)
    return b"".join((b"%s%010d\n" % (_TAG, len(first)), first, *codes))


def _foreign_sources() -> Iterator[tuple[str, str]]:
    """Yield name and source of the modules of the standard library that _IMPORTING loads."""
    from sysconfig import get_path  # noqa: PLC0415 - as above

    for name in _IMPORTING:
        __import__(name)
    library = f"{get_path('stdlib')}/"
    for name, module in sys.modules.items():
        source = getattr(module, "__file__", None) or ""
        if not (source.startswith(library) and source.endswith(".py")) or "-packages/" in source:
            continue
        if module.__name__ == name:  # os.path is posixpath
            yield name, source


def main() -> None:
    """Write the file beside the package."""
    from daemonless.files import write_atomic  # noqa: PLC0415 - as above

    write_atomic(f"{_DIRECTORY}/{FILE_NAME}", compile_modules(), mode=0o644)


if __name__ == "__main__":
    main()
