"""What `--security-opt`, `--cap-add`, `--userns` and the namespace options take.

A security option that could not be applied is refused, never ignored: somebody relies on it.
"""

from __future__ import annotations

import os

from daemonless.containers.grammar import MAX_ID, boolean, capability, number, one_line, refusal
from daemonless.containers.request import Security, Userns
from daemonless.errors import Unsupported, UsageError, printable
from daemonless.oci.runtime import CAPABILITIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# Podman's eleven: Docker's fourteen without MKNOD, NET_RAW and AUDIT_WRITE.
DEFAULT_CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)


def security(
    values: Iterable[str], cwd: str, *, privileged: bool, option: str = "--security-opt"
) -> Security:
    """Parse every `--security-opt`; `cwd` is what the path of a profile starts from.

    `--privileged` lifts seccomp unless a profile is named. Raises UsageError, or Unsupported for
    labels and profiles of security modules, which an unprivileged user cannot set.
    """
    result = Security(seccomp="unconfined" if privileged else "")
    for value in values:
        one_line(value, option)
        key, text = _split(value)
        if key == "no-new-privileges":
            result = result.replace(no_new_privileges=boolean(text or "true", option))
        elif key == "seccomp" and text:
            profile = text if text == "unconfined" else os.path.normpath(os.path.join(cwd, text))
            result = result.replace(seccomp=profile)
        elif key == "mask" and text:
            result = result.replace(mask=(*result.mask, *_paths(text, option, value)))
        elif key == "unmask" and text:
            paths = ("ALL",) if text.upper() == "ALL" else _paths(text, option, value)
            result = result.replace(unmask=(*result.unmask, *paths))
        elif key == "systempaths" and text == "unconfined":
            result = result.replace(unmask=(*result.unmask, "ALL"))
        elif (key, text) not in (("label", "disable"), ("apparmor", "unconfined")):
            if key in ("label", "apparmor", "proc-opts"):
                raise Unsupported(
                    f"cannot apply security option {printable(value)}: a rootless container cannot change it"
                )
            raise refusal(
                option,
                value,
                "there is no such security option",
                "no-new-privileges, seccomp=FILE|unconfined, mask=PATH[:PATH], unmask=ALL|PATH[:PATH], "
                "systempaths=unconfined, label=disable, apparmor=unconfined",
            )
    return result


def _split(value: str) -> tuple[str, str]:
    """Split at the first `=`, or at the first `:`, which docker took in earlier times."""
    key, equals, text = value.partition("=")
    if not equals:
        key, _, text = value.partition(":")
    return key, text


def _paths(text: str, option: str, value: str) -> tuple[str, ...]:
    paths = text.split(":")
    if not all(path.startswith("/") and ".." not in path.split("/") for path in paths):
        raise refusal(option, value, "a path is not absolute")
    return tuple(os.path.normpath(path) for path in paths)


def capabilities(values: Iterable[str], option: str) -> tuple[str, ...]:
    """Parse every value of `--cap-add` or `--cap-drop`: names, comma-separated, or ALL."""
    names = [capability(name, option) for value in values for name in value.split(",")]
    return tuple(dict.fromkeys(names))


def merge_capabilities(
    base: Iterable[str], add: tuple[str, ...], drop: tuple[str, ...], last: int
) -> tuple[str, ...]:
    """Return the capabilities after adding and dropping; `last` is the kernel's highest number.

    ALL is dropped before anything is added and added before anything is dropped. Raises
    UsageError for a name in both lists, Unsupported for one the kernel does not know.
    """
    known = CAPABILITIES[: last + 1]
    for name in add:
        if name in drop:
            raise UsageError(f"capability {name} is both added and dropped")
        if name != "ALL" and name not in known:
            raise Unsupported(f"cannot add {name}: the kernel does not know it")
    if "ALL" in drop:
        kept = set(add)
    else:
        kept = {*known} if "ALL" in add else {*base, *add}
        kept.difference_update(drop)
    return tuple(sorted(kept.intersection(known)))


def userns(value: str, option: str = "--userns") -> Userns:
    """Parse `host`, `keep-id[:uid=N,gid=N]`, `nomap`, `auto[:size=N]`, `container:NAME` or `ns:PATH`.

    Raises UsageError or Unsupported.
    """
    mode, _, options = value.partition(":")
    if value in ("", "host", "private"):  # it is always one of the container's own
        return Userns()
    if mode in ("container", "ns"):
        return Userns(mode=_shared(value, option))
    if value in ("nomap", "auto"):
        return Userns(mode=value)
    if mode == "auto":
        return Userns(mode=mode, size=_auto_size(options, option, value))
    if mode != "keep-id":
        known = "host, keep-id[:uid=N,gid=N], nomap, auto[:size=N], container:NAME and ns:PATH"
        raise refusal(option, value, f"it is none of {known}")
    ids = {"uid": os.getuid(), "gid": os.getgid()}
    for word in options.split(",") if options else ():
        key, _, text = word.partition("=")
        if key not in ids:
            raise refusal(option, value, f"keep-id has no option {printable(key)}")
        ids[key] = number(text, 0, MAX_ID, key, option, value)
    return Userns(mode=mode, uid=ids["uid"], gid=ids["gid"])


def _auto_size(options: str, option: str, value: str) -> int:
    """Parse what `auto` has after its colon."""
    key, _, text = options.partition("=")
    if key in ("uidmapping", "gidmapping") or "," in text:
        raise Unsupported(f"auto has one option here, size, and not {printable(options)}", "see --uidmap")
    if key != "size":
        raise refusal(option, value, f"auto has no option {printable(key)}", "auto:size=N")
    return number(text, 2, MAX_ID, key, option, value)  # newuidmap is for more than one


def id_maps(userns_value: str, uids: Iterable[str], gids: Iterable[str]) -> Userns:
    """Parse `--userns`, or every `--uidmap` and `--gidmap`; one of these stands for both.

    Raises UsageError or Unsupported.
    """
    uid_ranges = tuple(_id_range(value, "--uidmap") for value in uids)
    gid_ranges = tuple(_id_range(value, "--gidmap") for value in gids)
    if not uid_ranges and not gid_ranges:
        return userns(userns_value)
    if userns_value:
        raise UsageError("--userns and --uidmap or --gidmap exclude each other")
    return Userns(mode="map", uids=uid_ranges or gid_ranges, gids=gid_ranges or uid_ranges)


def _id_range(value: str, option: str) -> tuple[int, int, int]:
    """Parse `INSIDE:OWN[:LENGTH]`."""
    words = value.split(":")
    if len(words) not in (2, 3):
        raise refusal(option, value, "it is not INSIDE:OWN[:LENGTH]", "0:0:1 makes you root inside")
    inside, own = (number(word, 0, MAX_ID, "an id", option, value) for word in words[:2])
    length = number(words[2], 1, MAX_ID, "the length", option, value) if len(words) == 3 else 1
    return inside, own, length


def namespace(value: str, option: str) -> str:
    """Parse `--pid`, `--ipc`, `--uts`, `--cgroupns`: `host` or `private`; `none` for --ipc alone.

    All but the last may be another's: `container:NAME` or `ns:PATH`. Raises UsageError.
    """
    if value in ("", "private") or (value == "shareable" and option == "--ipc"):
        return "private"
    if value == "host" or (value == "none" and option == "--ipc"):
        return value
    if option == "--cgroupns":
        raise refusal(option, value, "it is neither host nor private")
    if value.partition(":")[0] in ("container", "ns"):
        return _shared(value, option)
    raise refusal(option, value, "it is none of host, private, container:NAME and ns:PATH")


def _shared(value: str, option: str) -> str:
    way, _, what = value.partition(":")
    if not what:
        raise refusal(option, value, f"after {way}: there is nothing")
    if way == "ns" and not what.startswith("/"):
        raise refusal(option, value, "the path of a namespace begins with /", "such as ns:/proc/PID/ns/ipc")
    return value
