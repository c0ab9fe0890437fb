"""Seccomp: from a profile to the section of a runtime spec, and from that to a program.

    profile (Docker's format)  --resolve_profile-->  linux.seccomp (runtime spec)  --load_program-->  BPF

A profile's groups depend on the container's capabilities, the architecture and the kernel; they are
settled when a container is created, so that its spec says exactly what will be enforced. The
program is compiled by `isolation.bpf` once and then found in the cache by the section's hash.

The default profile, `seccomp_default.json`, answers ENOSYS to what it does not name, so that C
libraries fall back, and EPERM to what a capability would unlock. It allows less than podman's: no
new namespaces or mounts without CAP_SYS_ADMIN, no AF_ALG, no keyrings. Its groups do not depend
on their order, so that other runtimes read it as it is meant.
"""

from __future__ import annotations

import errno
import os
from _blake2 import blake2b  # hashlib would cost 1 ms for the same function

from daemonless import __version__, jsonio, syscalls
from daemonless.errors import InvalidData, SetupFailed, Unsupported, printable
from daemonless.files import make_private_directory, read_fd, write_atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNCONFINED = "unconfined"
DEFAULT_PROFILE = f"{os.path.dirname(os.path.abspath(__file__))}/seccomp_default.json"
MAX_PROFILE = 1 << 20  # bytes; the largest profiles in use have 30 kB

# The spec's name of a machine's architecture, and its names in a profile's `arches`.
_MACHINES: dict[str, tuple[str, tuple[str, ...]]] = {
    "x86_64": ("SCMP_ARCH_X86_64", ("amd64", "x86_64")),
    "aarch64": ("SCMP_ARCH_AARCH64", ("arm64", "aarch64")),
}
# Those of images whose programs are 32-bit; emulated ones make the machine's own calls.
_NARROW = {("x86_64", "386"): ("x86", "386"), ("aarch64", "arm"): ("arm",)}

# A cached program: magic, then two hashes of 32 bytes, of what it was made from and of itself.
_MAGIC = b"daemonless BPF 1\n"
_PROGRAM = len(_MAGIC) + 64
_MAX_CACHED = _PROGRAM + 8 * 4096


def section_for(choice: str, caps: frozenset[str], architecture: str = "") -> dict[str, Any] | None:
    """Return the `linux.seccomp` section of a container, None if it is to be unconfined.

    `choice` is empty for the default profile, `unconfined`, or the path of a profile; `caps` the
    bounding set, `architecture` the image's. Raises SetupFailed if the file cannot be read, InvalidData
    or Unsupported if it cannot be applied.
    """
    if choice == UNCONFINED:
        return None
    section = resolve_profile(load_profile(choice or DEFAULT_PROFILE), caps, architecture)
    if choice:
        _compile(section)  # so that a broken profile is refused when a container is created
    return section


def load_profile(path: str) -> dict[str, Any]:
    """Read a profile, in Docker's format or as a section of the runtime spec.

    Raises SetupFailed if the file cannot be read, InvalidData if it is not a JSON object.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SetupFailed(f"cannot read seccomp profile {printable(path)}: {error.strerror}") from error
    try:
        data = read_fd(fd, MAX_PROFILE, what=f"seccomp profile {printable(path)}")
    finally:
        os.close(fd)
    profile = jsonio.loads(data, what=f"seccomp profile {printable(path)}")
    if not isinstance(profile, dict):
        raise InvalidData(f"seccomp profile {printable(path)} is not a JSON object")
    return profile


def resolve_profile(
    profile: dict[str, Any], caps: frozenset[str], architecture: str = "", machine: str = syscalls.MACHINE
) -> dict[str, Any]:
    """Return the `linux.seccomp` section (runtime spec 1.1, config-linux.md) that `profile` means.

    `caps` is the container's bounding set, `architecture` the image's as its config names it
    (only 386 and arm make a difference), `machine` what uname(2) says. A profile that is such a section
    already is returned as it is. Raises InvalidData if it is neither, Unsupported for other machines.
    """
    if "architectures" in profile and "archMap" not in profile:
        return profile
    if machine not in _MACHINES:
        raise Unsupported(
            f"cannot apply a seccomp profile: there is no system call table for {machine}",
            "run without one: --security-opt seccomp=unconfined",
        )
    native, names = _MACHINES[machine]
    names = _NARROW.get((machine, architecture), names)
    try:
        section: dict[str, Any] = {"defaultAction": profile["defaultAction"]}
        default_errno = _errno(profile, "defaultErrno")
        if default_errno is not None:
            section["defaultErrnoRet"] = default_errno
        section["architectures"] = _architectures(profile, native)
        if profile.get("flags"):
            section["flags"] = profile["flags"]
        section["syscalls"] = [
            _rule(group)
            for group in profile.get("syscalls") or ()
            if _applies(group.get("includes") or {}, group.get("excludes") or {}, caps, names)
        ]
    except KeyError as error:
        raise InvalidData(f"the seccomp profile has no {printable(str(error.args[0]))}") from None
    except (TypeError, AttributeError, ValueError):
        raise InvalidData("the seccomp profile is not in docker's format") from None
    return section


def _architectures(profile: dict[str, Any], native: str) -> list[str]:
    """Return the native architecture with those whose calls the kernel takes along with it."""
    for entry in profile.get("archMap") or ():
        if entry["architecture"] == native:
            return [native, *(entry.get("subArchitectures") or ())]
    return [native]


def _rule(group: dict[str, Any]) -> dict[str, Any]:
    names = group.get("names") or [group["name"]]  # profiles of docker 1.x have one name a group
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError
    rule: dict[str, Any] = {"names": names, "action": group["action"]}
    number = _errno(group, "errno")
    if number is not None:
        rule["errnoRet"] = number
    if group.get("args"):
        rule["args"] = group["args"]
    return rule


def _errno(group: dict[str, Any], key: str) -> int | None:
    """Return the errno of a group: podman writes its name as well, and then the name counts."""
    name = group.get(key)
    if not name:
        return group.get(f"{key}Ret")
    number = getattr(errno, name, None)
    if not isinstance(number, int):
        raise InvalidData(f"the seccomp profile has an unknown errno: {printable(name)}")
    return number


def _applies(
    includes: dict[str, Any], excludes: dict[str, Any], caps: frozenset[str], arches: tuple[str, ...]
) -> bool:
    """Tell whether a group is meant: all of `includes` hold, and nothing of `excludes`."""
    if excludes and (
        any(arch in arches for arch in excludes.get("arches") or ())
        or any(cap in caps for cap in excludes.get("caps") or ())
        or (excludes.get("minKernel") and _kernel_is(excludes["minKernel"]))
    ):
        return False
    if not includes:
        return True
    wanted = includes.get("arches")
    return not (
        (wanted and not any(arch in arches for arch in wanted))
        or any(cap not in caps for cap in includes.get("caps") or ())
        or (includes.get("minKernel") and not _kernel_is(includes["minKernel"]))
    )


def _kernel_is(least: str) -> bool:
    """Tell whether the kernel is `MAJOR.MINOR` or newer."""
    release = os.uname().release.replace("-", ".").replace("+", ".").split(".")
    major, _, minor = least.partition(".")
    return (int(release[0]), int(release[1])) >= (int(major), int(minor or 0))


def load_program(section: dict[str, Any], cache_dir: str) -> bytes:
    """Return the program of a section, compiled or from below `cache_dir`; ready for seccomp(2).

    A cached file that is damaged, not ours or not private is compiled anew and replaced; a cache
    that cannot be written is done without. Raises what `bpf.compile_section` raises.
    """
    text = jsonio.dumps(section).encode("ascii")
    origin = f"{__version__} {syscalls.MACHINE}\n".encode()
    key = blake2b(origin + text, digest_size=32).digest()
    directory = f"{cache_dir}/seccomp"
    path = f"{directory}/{key.hex()}"
    program = _cached(path, key)
    if program:
        return program
    program = _compile(section)
    try:
        make_private_directory(directory)
        write_atomic(path, _MAGIC + key + _hash(program) + program, durable=False)
    except OSError:
        pass
    return program


def _compile(section: dict[str, Any]) -> bytes:
    # late: a start that finds its program needs neither the compiler nor its tables (2 ms)
    from daemonless.isolation.bpf import compile_section  # noqa: PLC0415 - cached, mostly

    return compile_section(section)


def _cached(path: str, key: bytes) -> bytes:
    """Return the program of a cached file, nothing if there is none to be trusted."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        status = os.fstat(fd)
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            return b""
        data = read_fd(fd, _MAX_CACHED)
    except (OSError, InvalidData):
        return b""
    finally:
        os.close(fd)
    program = data[_PROGRAM:]
    intact = data[:_PROGRAM] == _MAGIC + key + _hash(program)
    return program if intact and program and len(program) % 8 == 0 else b""


def _hash(data: bytes) -> bytes:
    return blake2b(data, digest_size=32).digest()
