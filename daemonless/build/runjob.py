"""What a RUN step is asked to do, as plain data.

`RunSettings.request` says in the words of `run` what the build's options say of network, limits
and privileges: a RunRequest of which only these fields count - network, dns, dns_search, dns_option,
add_host, no_hosts, hosts_file, hostname, ulimits, host_ulimits, shm_size, cap_add, cap_drop,
devices, security, sysctls, oom_score_adj, group_add, umask.
"""

from __future__ import annotations

from daemonless.config import Paths
from daemonless.containers.request import RunRequest
from daemonless.dockerfile.steps import RunWork
from daemonless.isolation.userns import IdMap
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Layers(Record):
    """The file system of a stage or of an image."""

    lowers: tuple[str, ...]  # directories, the top one first; none: scratch


class RunSettings(Record):
    """What the command line says of all RUN steps."""

    request: RunRequest = RunRequest(image="")
    proxies: tuple[str, ...] = ()  # NAME=VALUE, which every variable of the step overrides


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
    settings: RunSettings = RunSettings()
    stdout: int = 1
    stderr: int = 2
