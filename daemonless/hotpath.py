"""The modules of the hot commands in one file, because loading them is half of a command's time.

Python looks for, opens and checks each of the 60 modules that `run` imports: 0.2 ms a module, as
much in all as the kernel needs to start a container. The installer compiles them once more, without
docstrings and column tables, into one file beside the package:

    python -I -X no_debug_ranges -m daemonless.hotpath

and the launcher calls `activate`. A module whose source has changed since, or that is not in the
file, is imported the usual way, so that the file can be old or missing but never wrong. It is as
trusted as the .pyc files it stands for: whoever can write it can write those.
"""

from __future__ import annotations

import marshal
import posix
import sys
from _frozen_importlib import ModuleSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

FILE_NAME = "hotpath.bin"
ACTIONS = ("run", "exec", "ps", "start", "stop", "rm", "create", "inspect", "logs", "images", "kill", "wait")
# what these actions import late, for containers with volumes and with health checks
LATE = (
    *("containers.storage", "containers.volumes", "isolation.copying"),
    *("containers.grammar_health", "containers.probing"),
)
_TAG = f"{sys.implementation.cache_tag} 1"


class HotPath:
    """A meta path finder and loader (importlib.abc) for the modules of one file."""

    def __init__(self, modules: dict[str, tuple[str, bool, int, int, bytes]]) -> None:
        self._modules = modules  # by name: path, is a package, mtime in ns, size of the source, code

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return the spec of a module whose source is the one that was compiled."""
        entry = self._modules.get(name)
        if entry is None:
            return None
        try:
            status = posix.stat(entry[0])
        except OSError:
            return None
        if (status.st_mtime_ns, status.st_size) != entry[2:4]:
            return None
        spec = ModuleSpec(name, self, origin=entry[0], is_package=entry[1])  # type: ignore[arg-type]
        spec.has_location = True
        if entry[1]:
            spec.submodule_search_locations = [entry[0].rpartition("/")[0]]
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave the creation of the module to the import system."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code, which is then no longer kept."""
        code: CodeType = marshal.loads(self._modules.pop(module.__name__)[4])
        exec(code, module.__dict__)


def activate() -> None:
    """Import hot modules from the file from now on, if it is there and of this Python."""
    try:
        with open(f"{__file__.rpartition('/')[0]}/{FILE_NAME}", "rb", buffering=0) as file:
            tag, modules = marshal.loads(file.read())
    except (OSError, EOFError, ValueError, TypeError):
        return
    if tag == _TAG:
        sys.meta_path.insert(0, HotPath(modules))


def compile_modules() -> bytes:
    """Return the content of the file: what importing every hot action loads, compiled."""
    for action in ACTIONS:
        __import__(f"daemonless.actions.{action}")
    for late in LATE:
        __import__(f"daemonless.{late}")
    __import__("daemonless.__main__")
    modules: dict[str, Any] = {}
    for name, module in sys.modules.items():
        path = getattr(module, "__file__", None)
        if name.partition(".")[0] == "daemonless" and path and module is not sys.modules["__main__"]:
            status = posix.stat(path)
            with open(path, "rb") as file:
                code = compile(file.read(), path, "exec", dont_inherit=True, optimize=2)
            is_package = path.endswith("/__init__.py")
            modules[name] = (path, is_package, status.st_mtime_ns, status.st_size, marshal.dumps(code))
    return marshal.dumps((_TAG, modules))


def main() -> None:
    """Write the file beside the package."""
    from daemonless.files import write_atomic  # noqa: PLC0415 - the launcher's way here needs none of it

    directory = __file__.rpartition("/")[0]
    write_atomic(f"{directory}/{FILE_NAME}", compile_modules(), mode=0o644)


if __name__ == "__main__":
    main()
