"""The environment of the container's process, built from nothing.

Lowest first: the defaults, what is taken over from the caller, the image, `--env-file` and `-e`; then the
host name, where nobody set one. HOME is not here: it depends on the container's own /etc/passwd,
which isolation reads at the start, and is set there if it is still absent.
"""

from __future__ import annotations

from daemonless.errors import printable
from daemonless.oci.image import DEFAULT_PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")


def build(
    image: Iterable[object],
    requested: Iterable[str],
    *,
    inherited: Iterable[str] = (),
    unset: Iterable[str] = (),
    unset_all: bool = False,
    terminal: bool = False,
    hostname: str = "",
    warn: Callable[[str], None],
) -> list[str]:
    """Return the `NAME=VALUE` entries of `process.env`.

    `image` is the Env list of an image config, data from outside: an entry that is not
    `NAME=VALUE` is dropped with a warning and never completed from the host (CVE-2026-57231).
    `inherited` are entries of the caller, `requested` those of the command line, complete already.
    """
    chosen = {"PATH": DEFAULT_PATH, "container": "daemonless"}
    if terminal:
        chosen["TERM"] = "xterm"
    _add(chosen, inherited)
    for entry in image:
        name, equals, value = entry.partition("=") if isinstance(entry, str) else ("", "", "")
        if not name or not equals or "\0" in value or "\0" in name:
            warn(f"ignoring the image's variable {printable(str(entry))!r}: it is not NAME=VALUE")
        else:
            chosen[name] = value
    if unset_all:
        chosen = {"PATH": DEFAULT_PATH}  # without it no command is found
    for name in unset:
        chosen.pop(name, None)
    _add(chosen, requested)
    if hostname:
        chosen.setdefault("HOSTNAME", hostname)
    return [f"{name}={value}" for name, value in chosen.items()]


def _add(chosen: dict[str, str], entries: Iterable[str]) -> None:
    for entry in entries:
        name, _, value = entry.partition("=")
        chosen[name] = value


def proxies_of(caller: Mapping[str, str]) -> tuple[str, ...]:
    """Return the caller's proxy variables, in both cases, as entries for `build`."""
    names = (*PROXIES, *(name.upper() for name in PROXIES))
    return tuple(f"{name}={caller[name]}" for name in names if caller.get(name))
