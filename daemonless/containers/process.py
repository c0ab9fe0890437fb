"""`process` of the runtime spec: the command, its environment, its identity and its limits.

The identity is settled in two steps, because names of users are those of the container's own
/etc/passwd. Here `username` keeps the USER value as given, and the five capability sets are those
of uid 0 only if that value is plainly 0 (or absent). For everybody else, names included, they are
those of an unprivileged user: permitted, effective, inheritable and ambient hold what --cap-add
named, so a mistake fails closed. Isolation resolves `username` at the start; if it turns out to be
uid 0, permitted and effective become the bounding set, inheritable and ambient become empty.
"""

from __future__ import annotations

from daemonless.containers import environment, grammar
from daemonless.containers.grammar_security import DEFAULT_CAPABILITIES, merge_capabilities
from daemonless.errors import InvalidData, UsageError
from daemonless.oci.runtime import CAPABILITIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from daemonless.containers.host_facts import HostFacts
    from daemonless.containers.request import RunRequest
    from daemonless.isolation.userns import IdMap
    from daemonless.oci.runtime import Capabilities, Process, Rlimit, User

# Limits raised for every container, to at most the caller's own hard limit (podman's values).
_DEFAULT_LIMITS = (("nofile", 1 << 20), ("nproc", 1 << 20))


def build_process(
    request: RunRequest,
    image: dict[str, Any],
    *,
    hostname: str,
    id_map: IdMap,
    host: HostFacts,
    warn: Callable[[str], None],
) -> Process:
    """Return the process of `request` in an image whose config section is `image`.

    Raises UsageError if there is no command or the user is not mapped, InvalidData for a config
    that breaks the image spec.
    """
    user = request.user or _image_user(image)
    if request.userns.mode == "keep-id" and not request.user:
        user = f"{request.userns.uid}:{request.userns.gid}"
    process: Process = {
        "terminal": request.tty,
        "user": user_of(user, request.umask, id_map),
        "args": _arguments(request, image),
        "env": environment.build(
            _strings(image, "Env"),
            request.env,
            inherited=host.inherited,
            unset=request.unset_env,
            unset_all=request.unset_all_env,
            terminal=request.tty,
            hostname=hostname,
            warn=warn,
        ),
        "cwd": request.workdir or _image_workdir(image),
        "capabilities": capability_sets(request, user, host.last_capability, privileged=request.privileged),
        "rlimits": _rlimits(request, host, warn),
        "noNewPrivileges": request.security.no_new_privileges,
    }
    if request.oom_score_adj is not None:
        if request.oom_score_adj < host.oom_score_adj:
            warn(f"--oom-score-adj is raised to {host.oom_score_adj}: less needs privilege")
        process["oomScoreAdj"] = max(request.oom_score_adj, host.oom_score_adj)
    return process


def exec_process(
    spec: dict[str, Any],
    request: RunRequest,
    args: list[str],
    *,
    id_map: IdMap,
    last_capability: int,
    env: tuple[str, ...] = (),
    user: str = "",
    workdir: str = "",
    tty: bool = False,
    privileged: bool = False,
) -> dict[str, Any]:
    """Return the process of an `exec` in the container of `spec` and `request`.

    Like the container's own in everything that is not given: one rule for both, so that `exec`
    is never less confined than `run` (CVE-2022-27650).
    """
    own: dict[str, Any] = spec["process"]
    user = user or own["user"].get("username", "")
    chosen = dict(entry.partition("=")[::2] for entry in own["env"])
    if tty:
        chosen.setdefault("TERM", "xterm")
    chosen.update(entry.partition("=")[::2] for entry in env)
    return {
        **own,
        "terminal": tty,
        "user": user_of(user, own["user"].get("umask", 0o022), id_map),
        "args": args,
        "env": [f"{name}={value}" for name, value in chosen.items()],
        "cwd": workdir or own["cwd"],
        "capabilities": capability_sets(
            request, user, last_capability, privileged=privileged or request.privileged
        ),
    }


def user_of(value: str, umask: int, id_map: IdMap) -> User:
    """Return `process.user` for a USER value; numbers are entered, names left to the start.

    Raises UsageError for a value that is no user, or a number the user namespace does not map.
    """
    if value:
        grammar.user(value)
    name, _, group = value.partition(":")
    uid = int(name) if name.isdecimal() else 0
    gid = int(group) if group.isdecimal() else 0
    checks = [(uid, id_map.uids, "uid")] if name.isdecimal() or not name else []
    if group.isdecimal():
        checks.append((gid, id_map.gids, "gid"))
    for number, ranges, what in checks:
        if not any(inside <= number < inside + length for inside, _, length in ranges):
            raise UsageError(
                f"cannot run as {value or 'root'}: {what} {number} is not mapped into the container",
                id_map.reason or "the range of /etc/subuid or /etc/subgid ends below it",
            )
    return {"uid": uid, "gid": gid, "umask": umask, "additionalGids": [], "username": value}


def bounding_set(request: RunRequest, last: int, *, privileged: bool) -> tuple[str, ...]:
    """Return the most that any process of the container can have."""
    base = CAPABILITIES if privileged else DEFAULT_CAPABILITIES
    return (*merge_capabilities(base, request.cap_add, request.cap_drop, last),)


def capability_sets(request: RunRequest, user: str, last: int, *, privileged: bool) -> Capabilities:
    """Return the five sets for a USER value; see the module's docstring. `last` is the kernel's highest."""
    bounding = [*bounding_set(request, last, privileged=privileged)]
    if user.partition(":")[0].strip("0") == "":
        return {
            "bounding": bounding,
            "effective": bounding,
            "inheritable": [],
            "permitted": bounding,
            "ambient": [],
        }
    added = [*merge_capabilities((), request.cap_add, (), last)]
    return {
        "bounding": bounding,
        "effective": added,
        "inheritable": added,
        "permitted": added,
        "ambient": added,
    }


def _rlimits(request: RunRequest, host: HostFacts, warn: Callable[[str], None]) -> list[Rlimit]:
    """Return the limits, clamped to the caller's: an unprivileged process cannot raise a hard limit."""
    hard_limits = {name: hard for name, _, hard in host.rlimits}
    chosen: dict[str, tuple[int, int]] = {}
    if not request.host_ulimits:
        chosen.update((name, (limit, limit)) for name, limit in _DEFAULT_LIMITS)
    for name, soft, hard in request.ulimits:
        if hard > hard_limits[name] and hard != grammar.UNLIMITED:
            warn(f"--ulimit {name} is lowered to your own hard limit, {hard_limits[name]}")
        chosen[name] = (soft, hard)
    return [
        {
            "type": f"RLIMIT_{name.upper()}",
            "soft": min(soft, hard_limits[name]),
            "hard": min(hard, hard_limits[name]),
        }
        for name, (soft, hard) in chosen.items()
    ]


def _arguments(request: RunRequest, image: dict[str, Any]) -> list[str]:
    """Return entrypoint and command, as docker combines them.

    An entrypoint of the command line, an empty one too, puts the image's Cmd out of use: it was
    written for the image's Entrypoint.
    """
    command = [*request.command]
    if request.entrypoint is None:
        args = [*_strings(image, "Entrypoint"), *(command or _strings(image, "Cmd"))]
    else:
        args = [*request.entrypoint, *command]
    if not args or not args[0]:
        raise UsageError("there is no command to run: the image names none", "give one after the image")
    return args


def _image_user(image: dict[str, Any]) -> str:
    value = image.get("User") or ""
    if not isinstance(value, str):
        raise InvalidData("the image's User is not a string", "override it with --user")
    try:
        return grammar.user(value, "User") if value else ""
    except UsageError as error:
        raise InvalidData(
            f"the image's config is broken: {error.message}", "override it with --user"
        ) from None


def _image_workdir(image: dict[str, Any]) -> str:
    value = image.get("WorkingDir") or "/"
    if not isinstance(value, str) or "\0" in value:
        raise InvalidData("the image's WorkingDir is not a path", "override it with --workdir")
    return value if value.startswith("/") else f"/{value}"


def _strings(image: dict[str, Any], key: str) -> list[str]:
    """Return a list of strings of the image's config; null and absence are an empty list."""
    value = image.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, str) and "\0" not in item for item in value):
        raise InvalidData(f"the image's {key} is not a list of strings")
    return value
