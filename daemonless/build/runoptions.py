"""What the options of `build` say of all its RUN steps.

--secret id=ID,src=FILE    a file; with env=NAME a variable of the caller. Without either the variable
that is called as the id is taken, if there is one, else the file
--ssh ID=PATH,PATH         an agent's socket, or keys; the id alone, or `default`, is the caller's agent
"""

from __future__ import annotations

import os

from daemonless.build.runjob import RunSettings, Secret
from daemonless.containers import grammar
from daemonless.containers.arguments import from_args
from daemonless.containers.environment import proxies_of
from daemonless.containers.request import needs_storage
from daemonless.dockerfile.arguments import PROXIES
from daemonless.errors import NotFound, UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

# Options of `run` that mean the same for RUN; others of these names mean something else here.
_AS_RUN = (
    *("network", "add_host", "no_hosts", "dns", "dns_option", "dns_search", "cap_add", "cap_drop"),
    *("security_opt", "ulimit", "shm_size", "device", "volume"),
)
_ENTITLEMENTS = ("security.insecure", "network.host")


class _Chosen:
    """The options of `run` among those of `build`."""

    def __init__(self, args: Any) -> None:
        self.__dict__.update({name: getattr(args, name) for name in _AS_RUN})
        if args.network == "default":
            self.network = None


def run_settings(
    args: Any, arguments: Mapping[str, str], *, warn: Callable[[str], None], caller: Mapping[str, str]
) -> RunSettings:
    """Return them; `arguments` are the build arguments. Raises UsageError or NotFound."""
    proxies = dict(entry.partition("=")[::2] for entry in proxies_of(caller) if args.http_proxy)
    for name, value in arguments.items():
        if name in PROXIES:  # programs disagree about the spelling
            proxies |= {name.lower(): value, name.upper(): value}
    request = from_args(_Chosen(args), warn=warn)
    if request.cdi:
        raise UsageError("a build has no devices by name: --device takes a path", "for example /dev/fuse")
    if needs_storage(request, args.paths.data):
        raise UsageError(
            "a build has no volumes: --volume takes what this machine has, and neither U nor O",
            "for what is to last from build to build: RUN --mount=type=cache",
        )
    memory, swap = _size(args.memory, "--memory"), _swap(args.memory_swap)
    if swap > 0 and not 0 < memory <= swap:
        raise UsageError(
            "--memory-swap limits memory and swap together, so it needs a --memory that is not more",
            "for example: --memory 1g --memory-swap 2g",
        )
    hostname = arguments.get("BUILDKIT_SANDBOX_HOSTNAME", "")
    if hostname:
        request = request.replace(hostname=grammar.hostname(hostname, "BUILDKIT_SANDBOX_HOSTNAME"))
    return RunSettings(
        request=request,
        proxies=tuple(f"{name}={value}" for name, value in proxies.items()),
        secrets=tuple(_secret(value, caller) for value in args.secret),
        ssh=tuple(_ssh(value, caller) for value in args.ssh),
        entitlements=tuple(grammar.choice(value, _ENTITLEMENTS, "--allow") for value in args.allow),
        cache_namespace=arguments.get("BUILDKIT_CACHE_MOUNT_NS", ""),
        memory=memory,
        memory_swap=swap,
        cpus=_cpus(args.cpus),
    )


def _secret(value: str, caller: Mapping[str, str]) -> tuple[str, Secret]:
    fields = _fields(value, "--secret", {"source": "src"}, ("id", "src", "env", "type"))
    name, source, variable = (fields.get(key, "") for key in ("id", "src", "env"))
    if fields.get("type", "file") not in ("file", "env"):
        raise grammar.refusal("--secret", value, "type is neither file nor env")
    if fields.get("type") == "env" and source:
        source, variable = "", source
    name = name or source.rpartition("/")[2] or variable
    if not name:
        raise grammar.refusal("--secret", value, "it has no id", "write it like id=token,src=FILE")
    if not source and not variable:
        variable, source = (name, "") if name in caller else ("", name)
    if variable:
        if variable not in caller:
            raise NotFound(f"secret {printable(name)}: there is no variable {printable(variable)}")
        return name, Secret(env=variable)
    path = os.path.abspath(source)
    if not os.path.exists(path):
        raise NotFound(f"secret {printable(name)}: there is no file {printable(source)}")
    return name, Secret(path=path)


def _ssh(value: str, caller: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    name, _, paths = value.partition("=")
    found = tuple(os.path.abspath(path) for path in paths.split(",") if path)
    if not found:
        agent = caller.get("SSH_AUTH_SOCK", "")
        if not agent:
            raise UsageError(
                f"--ssh {printable(value)}: there is no agent, as SSH_AUTH_SOCK is not set",
                "start one, or name keys: --ssh default=~/.ssh/id_ed25519",
            )
        found = (agent,)
    for path in found:
        if not os.path.exists(path):
            raise NotFound(f"--ssh {printable(name)}: there is no file {printable(path)}")
    return name or "default", found


def _fields(value: str, option: str, synonyms: Mapping[str, str], known: Iterable[str]) -> dict[str, str]:
    """Return the KEY=VALUE parts of an option."""
    fields = {}
    for part in value.split(","):
        key, equals, text = part.partition("=")
        key = synonyms.get(key.strip().lower(), key.strip().lower())
        if not equals or key not in known:
            raise grammar.refusal(option, value, f"{printable(part)!r} is none of {', '.join(known)}")
        fields[key] = text
    return fields


def _size(value: str | None, option: str) -> int:
    return grammar.size(value, option) if value else 0


def _swap(value: str | None) -> int:
    return -1 if value == "-1" else _size(value, "--memory-swap")


def _cpus(value: str | None) -> float:
    if not value:
        return 0
    try:
        cpus = float(value)
    except ValueError:
        cpus = -1
    if not 0 <= cpus <= 1 << 20:  # neither is a NaN
        raise grammar.refusal("--cpus", value, "it is not a number of processors")
    return cpus
