"""What `volume create` takes, and the mount that the options of the driver `local` stand for.

A plain volume is a directory of ours. With `type=tmpfs` its content lives in memory, for each
container that runs; with `type=none,o=bind` it is a directory of the user at `device`. The kernel
lets no unprivileged user mount anything else.
"""

from __future__ import annotations

from daemonless.containers.grammar import refusal
from daemonless.containers.grammar_mounts import bind_options, tmpfs_options
from daemonless.errors import Unsupported, UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_OPTION = "--opt"
_KEYS = ("type", "device", "o")


def driver_options(values: Iterable[str]) -> dict[str, str]:
    """Parse `KEY=VALUE` options; raises UsageError, or Unsupported for what needs privileges."""
    options: dict[str, str] = {}
    for value in values:
        key, equals, text = value.partition("=")
        if key not in _KEYS:
            keys = ", ".join(_KEYS)
            raise UsageError(f"invalid mount option {printable(key)} for driver 'local'", f"there are {keys}")
        if not equals or "\n" in text:
            raise refusal(_OPTION, value, "it is not KEY=VALUE")
        options[key] = text
    if options:
        mount_of(options)  # raises for what could not be mounted
    return options


def mount_of(options: Mapping[str, str]) -> tuple[str, str, tuple[str, ...]]:
    """Return type, source and mount options of a volume with driver options."""
    kind, device, words = options.get("type", ""), options.get("device", ""), options.get("o", "").split(",")
    shown = ",".join(f"{key}={text}" for key, text in options.items())
    if kind == "tmpfs":
        return "tmpfs", "tmpfs", tmpfs_options([*words, "notmpcopyup"], _OPTION, shown)
    if kind in ("", "none", "bind") and {"bind", "rbind"} & {*words, kind}:
        if not device.startswith("/"):
            raise refusal(_OPTION, shown, "device is not an absolute path", "write device=/PATH")
        return "bind", device, bind_options(words, _OPTION, shown)
    raise Unsupported(
        f"cannot make a volume of {printable(shown)}: an unprivileged user can mount only two types",
        "use type=tmpfs, or type=none with o=bind and device=/PATH",
    )


def identity(value: int | None, option: str) -> int:
    """Check the value of --uid or --gid."""
    if value is None:
        return 0
    if not 0 <= value < (1 << 32) - 1:
        raise refusal(option, str(value), "it is not an id")
    return value
