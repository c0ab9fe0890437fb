"""What a RUN step is asked to do, as plain data.

`RunSettings.request` says in the words of `run` what the build's options say of network, limits
and privileges: a RunRequest of which only these fields count - network, dns, dns_search, dns_option,
add_host, no_hosts, hosts_file, hostname, ulimits, host_ulimits, shm_size, cap_add, cap_drop,
devices, mounts (binds), security, sysctls, oom_score_adj, group_add, umask.
"""

from __future__ import annotations

from types import MappingProxyType

from daemonless.config import Paths
from daemonless.containers.request import RunRequest
from daemonless.dockerfile.steps import RunWork
from daemonless.isolation.userns import IdMap
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Protocol

    class Ignore(Protocol):
        """What .dockerignore says; paths are relative to the context, without a leading slash."""

        def excludes(self, path: str) -> bool:
            """Return whether the path is left out."""

        def may_reinclude_below(self, directory: str) -> bool:
            """Return whether something below a directory that is left out may be in all the same."""


class Layers(Record):
    """The file system of a stage or of an image."""

    lowers: tuple[str, ...]  # directories, the top one first; none: scratch


class Directory(Record):
    """A build context: a directory of the person who builds."""

    path: str
    ignore: Ignore | None = None


class Secret(Record):
    """Where the value of a `--secret` is: in a file, or in a variable of the caller."""

    path: str = ""
    env: str = ""


class RunSettings(Record):
    """What the command line says of all RUN steps."""

    request: RunRequest = RunRequest(image="")
    proxies: tuple[str, ...] = ()  # NAME=VALUE, which every variable of the step overrides
    secrets: tuple[tuple[str, Secret], ...] = ()  # by id
    ssh: tuple[tuple[str, tuple[str, ...]], ...] = ()  # by id: an agent's socket, or key files
    entitlements: tuple[str, ...] = ()  # --allow
    cache_namespace: str = ""  # BUILDKIT_CACHE_MOUNT_NS
    memory: int = 0  # bytes; 0: no limit
    memory_swap: int = 0  # bytes, of memory and swap together; -1: as much as there is
    cpus: float = 0  # 0: no limit


class RunJob(Record):
    """One RUN step."""

    paths: Paths
    id_map: IdMap
    work: RunWork
    config: dict[str, Any]  # the image's config document: user, working directory, architecture
    layers: Layers  # what the step runs on
    # Empty, private, on the file system of the layers; `upper` in it becomes the layer. The caller
    # makes and removes it.
    directory: str
    trees: Mapping[str, Layers | Directory] = MappingProxyType({})  # by `from_` of the mounts
    settings: RunSettings = RunSettings()
    stdout: int = 1
    stderr: int = 2
