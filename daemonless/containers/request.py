"""RunRequest: what `run` or `create` asked for, as one frozen value.

`arguments.from_args` makes it from the command line; container.json keeps it (`as_dict`) and
`from_dict` reads it back. Nothing in it depends on the caller's environment or directory any
more. An empty field leaves the decision to the image.
"""

from __future__ import annotations

from daemonless.containers.grammar import signal
from daemonless.errors import InvalidData, UsageError, printable
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

DEFAULT_SHM_SIZE = 64 << 20
DEFAULT_STOP_TIMEOUT = 10


def config_section(image_config: dict[str, Any]) -> dict[str, Any]:
    """Return the `config` object of an image's config document (image-spec, config.md, "Properties").

    It may be missing or null. Raises InvalidData if it is anything else but an object.
    """
    section = image_config.get("config") or {}
    if not isinstance(section, dict):
        raise InvalidData("the image's config is not an object")
    return section


class Mount(Record):
    """One mount the user or the image asked for; `options` are in the words of the runtime spec."""

    destination: str
    type: str  # bind, tmpfs or volume
    source: str  # of a volume its name; empty: `create` makes up one
    options: tuple[str, ...]
    subpath: str = ""  # what is mounted of a volume, relative to its top
    nocopy: bool = False  # leave a new volume empty
    chown: bool = False  # U: give all of it to the container's user
    overlay: bool = False  # O: changes are thrown away


class Secret(Record):
    """One secret to hand over; what it says is in no request, record or spec."""

    name: str
    type: str = "mount"  # or env
    target: str = ""  # a path of the container, or a variable's name
    uid: int = 0
    gid: int = 0
    mode: int = 0o444
    id: str = ""  # of the secret that was copied, known from `create` on


class Device(Record):
    """A device of the host, or a directory of them, to be bound into the container."""

    source: str
    destination: str
    writable: bool


class Network(Record):
    """How the container is connected; the other fields matter to slirp4netns(1) only."""

    mode: str = "slirp4netns"  # none, host or slirp4netns
    mtu: int = 65520
    cidr: str = ""
    allow_host_loopback: bool = False
    enable_ipv6: bool = True


class Port(Record):
    """One published port; `host_ip` is empty for all addresses, `host_port` 0 asks for a free one."""

    host_ip: str
    host_port: int
    container_port: int
    protocol: str  # tcp or udp


class Security(Record):
    """What `--security-opt` chose."""

    no_new_privileges: bool = False
    seccomp: str = ""  # empty: the default profile; unconfined; or the path of a profile
    mask: tuple[str, ...] = ()
    unmask: tuple[str, ...] = ()  # paths, a last component of * matches any; or ALL


class Userns(Record):
    """How ids are mapped: `host` makes the caller root inside, `keep-id` keeps the caller's id.

    `map` has ranges of --uidmap and --gidmap: first inside, first of the caller's own, how many.
    `nomap` has subordinate ids alone, and `auto` some that no other container of `auto` has.
    `container:ID` and `ns:PATH` have those of a user namespace that is there.
    """

    mode: str = "host"
    uid: int = 0  # of the caller inside, for keep-id
    gid: int = 0
    uids: tuple[tuple[int, int, int], ...] = ()
    gids: tuple[tuple[int, int, int], ...] = ()
    size: int = 0  # how many ids, for auto; 0: as many as most images need


class Restart(Record):
    """When a container that has ended is started again."""

    policy: str = "no"  # no, on-failure, always or unless-stopped
    retries: int = 0  # on-failure gives up after so many; 0: never


class LogOptions(Record):
    """What `--log-opt` chose; size, number and path are for the drivers that write files."""

    max_size: int = 0  # bytes of one file; 0: unlimited
    max_file: int = 1  # how many files are kept, the current one included
    path: str = ""  # absolute; empty: in the container's own directory
    tag: str = ""  # may hold {{.Name}} and the like
    labels: tuple[str, ...] = ()  # of the container's labels, those that each record is to tell
    env: tuple[str, ...] = ()  # and of its variables


class Health(Record):
    """How the container's health is checked; None leaves a value to the image or to its default.

    Times are in nanoseconds, as image configs have them. `test` is an image config's: NONE, CMD and
    words, or CMD-SHELL and a text; empty where nobody asked for a check.
    """

    test: tuple[str, ...] = ()
    interval: int | None = None  # 0: only when somebody asks for it
    timeout: int | None = None
    start_period: int | None = None
    start_interval: int | None = None
    retries: int | None = None
    on_failure: str = "none"  # or kill, restart, stop: what becomes of an unhealthy container
    shell: tuple[str, ...] = ()  # the image's SHELL, for CMD-SHELL; empty: /bin/sh -c

    @property
    def is_checked(self) -> bool:
        """Whether there is a command to find out."""
        return bool(self.test) and self.test[0] != "NONE"


class RunRequest(Record):
    """What was asked for, complete but for what the image decides (an empty field)."""

    image: str  # or with `rootfs` the absolute path of a directory
    name: str = ""
    cidfile: str = ""  # absolute path of the file that got the id
    label: tuple[tuple[str, str], ...] = ()
    annotation: tuple[tuple[str, str], ...] = ()
    platform: tuple[str, str, str] = ("", "", "")
    pull: str = "missing"
    rootfs: str = ""  # how --rootfs uses the directory: bind, or overlay with the container's own layer

    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None  # None: the image's; empty: cleared
    env: tuple[str, ...] = ()  # complete NAME=VALUE entries
    unset_env: tuple[str, ...] = ()
    unset_all_env: bool = False
    http_proxy: bool = True
    env_host: bool = False
    workdir: str = ""
    user: str = ""
    group_add: tuple[str, ...] = ()
    umask: int = 0o022
    detach: bool = False
    attach: tuple[str, ...] = ()  # the streams a command takes part with; none named: all
    interactive: bool = False
    tty: bool = False
    detach_keys: tuple[int, ...] = (16, 17)  # ctrl-p, ctrl-q
    preserve_fds: int = 0  # descriptors from 3 on that the process inherits
    init: bool = False  # isolation has a reaper of its own: `args` stays what the image says
    rm: bool = False
    restart: Restart = Restart()
    health: Health = Health()
    stop_signal: int = 0
    stop_timeout: int = DEFAULT_STOP_TIMEOUT  # seconds
    timeout: int = 0  # seconds until the container is killed; 0: never
    log_driver: str = "k8s-file"
    log_opts: LogOptions = LogOptions()
    oom_score_adj: int | None = None
    ulimits: tuple[tuple[str, int, int], ...] = ()
    host_ulimits: bool = False

    mounts: tuple[Mount, ...] = ()
    # container as it was named, and ro, rw or nothing; from `create` on its id as well
    volumes_from: tuple[tuple[str, ...], ...] = ()
    image_volume: str = "bind"  # what becomes of the image's VOLUMEs: bind, tmpfs or ignore
    secrets: tuple[Secret, ...] = ()
    devices: tuple[Device, ...] = ()
    cdi: tuple[str, ...] = ()  # names of devices (`daemonless.containers.cdi`)
    read_only: bool = False
    read_only_tmpfs: bool = True
    shm_size: int = DEFAULT_SHM_SIZE  # bytes; 0 is unlimited

    hostname: str = ""
    network: Network = Network()
    publish: tuple[Port, ...] = ()
    expose: tuple[str, ...] = ()  # ports as in an image's ExposedPorts, such as 80/tcp
    publish_all: bool = False  # those of the image and of `expose`, at free ports of the host
    mac_address: str = ""
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_option: tuple[str, ...] = ()
    add_host: tuple[tuple[str, str], ...] = ()
    no_hosts: bool = False
    hosts_file: str = ""  # absolute, what /etc/hosts begins with; none; or empty: what the network needs

    requires: tuple[str, ...] = ()  # containers that are to run before this one: ids, names at first
    userns: Userns = Userns()
    pid: str = "private"  # or host, or as `daemonless.containers.sharing` says; so do ipc and uts
    ipc: str = "private"  # none: private without /dev/shm
    uts: str = "private"
    cgroupns: str = "private"
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security: Security = Security()
    sysctls: tuple[tuple[str, str], ...] = ()

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__fields__}

    def as_dict(self) -> dict[str, Any]:
        """Return the fields ready for JSON: inner records are dicts too."""
        return {name: _plain(value) for name, value in self._values().items()}

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return type(self)(**{**self._values(), **changes})

    @property
    def shares(self) -> bool:
        """Whether it asks for namespaces of others (`daemonless.containers.sharing`)."""
        return any(":" in mode for mode in (self.pid, self.ipc, self.uts, self.userns.mode))

    def with_image(self, config: dict[str, Any], warn: Callable[[str], None]) -> Self:
        """Return the request completed with what the image's config says of labels and stop signal.

        They are data from outside: labels never control anything (CVE-2026-53488), and a value
        that breaks its grammar is left out with a warning.
        """
        section = config_section(config)
        found = section.get("Labels") or {}
        labels = {}
        for key in found:
            if key and isinstance(found, dict) and isinstance(found[key], str):
                labels[key] = found[key]
            else:
                warn(f"ignoring the image's label {printable(str(key))!r}: it is not KEY=VALUE")
        number = self.stop_signal
        if not number and section.get("StopSignal"):
            try:
                number = signal(str(section["StopSignal"]), "StopSignal")
            except UsageError as error:
                warn(f"ignoring the image's stop signal: {error.message}")
        return self.replace(label=tuple({**labels, **dict(self.label)}.items()), stop_signal=number)

    def __hash__(self) -> int:
        return hash(tuple(self._values().values()))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Read what `as_dict` gave and JSON carried. Raises InvalidData for anything else."""
        unknown = [name for name in data if name not in cls.__fields__]
        if unknown:
            raise InvalidData(f"container request has an unknown field {printable(unknown[0])}")
        try:
            return cls(**{name: _frozen(name, value) for name, value in data.items()})
        except (TypeError, AttributeError, ValueError) as error:
            raise InvalidData(f"container request is damaged: {error}") from None


def needs_storage(request: RunRequest, data: str) -> bool:
    """Return whether the mounts of a request need more than the runtime spec says of them.

    `data` is the data root: a bind of what lies in a volume there is one of them.
    """
    if request.volumes_from or request.secrets:
        return True
    volumes = f"{data}/volumes/"
    return any(
        mount.type == "volume" or mount.chown or mount.overlay or mount.source.startswith(volumes)
        for mount in request.mounts
    )


_RECORDS: dict[str, type[Record]] = {
    "mounts": Mount,
    "secrets": Secret,
    "devices": Device,
    "publish": Port,
    "network": Network,
    "userns": Userns,
    "security": Security,
    "log_opts": LogOptions,
    "restart": Restart,
    "health": Health,
}


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return {name: _plain(inner) for name, inner in value.as_dict().items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _frozen(name: str, value: Any) -> Any:
    record = _RECORDS.get(name)
    if record is None:
        return _tuples(value)
    if isinstance(value, list):
        return tuple(record(**_inner(item)) for item in value)
    return record(**_inner(value))


def _inner(value: dict[str, Any]) -> dict[str, Any]:
    return {name: _tuples(inner) for name, inner in value.items()}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
