"""From the parsed options of `run` and `create` to a RunRequest.

`from_args` is the only reader of those options. It resolves what depends on the caller -
variables copied from the environment, relative paths, the content of `--env-file` - and checks
that the files it is told to mount exist. Options are attributes of `args` under their long names
with underscores; each may be missing or None, which is its default:

    strings      image name cidfile user workdir entrypoint hostname network mac_address userns pid ipc uts
                 image_volume cgroupns shm_size stop_signal umask platform os arch variant pull detach_keys
                 log_driver tz hosts_file restart health_cmd health_interval health_timeout
                 health_start_period health_start_interval health_on_failure
    lists        command env env_file unsetenv label label_file annotation volume mount tmpfs volumes_from
                 device publish dns dns_search dns_option add_host cap_add cap_drop security_opt
                 group_add ulimit sysctl log_opt secret attach expose uidmap gidmap
    flags        detach interactive tty rm init read_only privileged unsetenv_all no_hosts
                 no_healthcheck publish_all env_host rootfs
    flags, on    read_only_tmpfs http_proxy
    numbers      stop_timeout timeout oom_score_adj preserve_fds health_retries

What concerns the command rather than the container (pidfile, replace, quiet, sig_proxy, registry
access, and writing the cidfile) stays with the command.
"""

from __future__ import annotations

import os

from daemonless.containers import grammar, grammar_mounts, grammar_network, grammar_security
from daemonless.containers.request import (
    DEFAULT_SHM_SIZE,
    DEFAULT_STOP_TIMEOUT,
    Device,
    Health,
    LogOptions,
    Mount,
    Network,
    Port,
    Restart,
    RunRequest,
    Secret,
    Userns,
)
from daemonless.containers.variables import environment_options, read_text
from daemonless.errors import UsageError, printable
from daemonless.isolation.identity import KEEP_GROUPS
from daemonless.isolation.userns import names_of
from daemonless.oci.image import asked_platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

PULL_POLICIES = ("always", "missing", "never", "newer")
LOG_DRIVERS = ("k8s-file", "json-file", "journald", "none", "passthrough")
_HEALTH = (
    *("health_cmd", "health_interval", "health_timeout", "health_start_period", "health_start_interval"),
    *("health_retries", "health_on_failure", "no_healthcheck"),
)


def from_args(
    args: Any,
    *,
    warn: Callable[[str], None],
    caller: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> RunRequest:
    """Return the request that parsed options make; see the module's docstring for their names.

    `caller` is the environment that `-e NAME` copies from and `cwd` what relative paths start
    from; both default to this process's. Raises UsageError or Unsupported.
    """
    given = _Options(args)
    caller = os.environ if caller is None else caller
    cwd = os.getcwd() if cwd is None else cwd
    network = _network(given.list("network"))
    entrypoint = given.get("entrypoint")
    privileged = given.flag("privileged")
    ulimits = given.list("ulimit")
    driver = grammar.choice(given.text("log_driver") or "k8s-file", LOG_DRIVERS, "--log-driver")
    if driver == "passthrough" and given.flag("tty"):
        raise UsageError("--log-driver=passthrough and --tty cannot be used together")
    image, rootfs = _image(given, cwd)
    request = RunRequest(
        image=image,
        rootfs=rootfs,
        name=given.text("name", grammar.container_name),
        cidfile=os.path.join(cwd, given.text("cidfile")) if given.text("cidfile") else "",
        label=_labels(given),
        annotation=tuple(grammar.key_value(value, "--annotation") for value in given.list("annotation")),
        platform=_platform(given, caller),
        pull=grammar.choice(given.text("pull") or "missing", PULL_POLICIES, "--pull"),
        command=tuple(given.list("command")),
        entrypoint=None if entrypoint is None else grammar.command(entrypoint),
        env=environment_options(args, caller),
        unset_env=tuple(given.list("unsetenv")),
        unset_all_env=given.flag("unsetenv_all"),
        http_proxy=given.flag("http_proxy", default=True),
        env_host=given.flag("env_host"),
        workdir=given.text("workdir", _workdir),
        user=given.text("user", grammar.user),
        group_add=_groups(given),
        umask=grammar.mask(given.text("umask") or "0022"),
        detach=given.flag("detach"),
        attach=_attached(given),
        interactive=given.flag("interactive"),
        tty=given.flag("tty"),
        detach_keys=_detach_keys(given.get("detach_keys")),
        preserve_fds=given.number("preserve_fds", 0, 1 << 16, 0),
        init=given.flag("init"),
        rm=given.flag("rm"),
        restart=_restart(given.text("restart")),
        health=_health(args),
        stop_signal=_stop_signal(given.text("stop_signal")),
        stop_timeout=given.number("stop_timeout", 0, 1 << 31, DEFAULT_STOP_TIMEOUT),
        timeout=given.number("timeout", 0, 1 << 31, 0),
        requires=tuple(name for value in given.list("requires") for name in value.split(",")),
        log_driver=driver,
        log_opts=_log_options(given.list("log_opt"), driver, cwd),
        oom_score_adj=given.number("oom_score_adj", -1000, 1000, None),
        ulimits=tuple(grammar.ulimit(value) for value in ulimits if value != "host"),
        host_ulimits="host" in ulimits,
        mounts=_mounts(given, cwd),
        volumes_from=tuple(grammar_mounts.volumes_from(value) for value in given.list("volumes_from")),
        image_volume=_image_volume(given.text("image_volume")),
        secrets=_secrets(given.list("secret")),
        devices=_devices(given),
        cdi=_named_devices(given),
        read_only=given.flag("read_only"),
        read_only_tmpfs=given.flag("read_only_tmpfs", default=True),
        shm_size=grammar.size(given.text("shm_size") or str(DEFAULT_SHM_SIZE), "--shm-size"),
        hostname=given.text("hostname", grammar.hostname),
        network=network,
        publish=_ports(given, network, warn),
        expose=tuple(port for value in given.list("expose") for port in grammar_network.expose(value)),
        publish_all=given.flag("publish_all") and network.mode == "slirp4netns",
        mac_address=given.text("mac_address", grammar_network.mac_address),
        dns=tuple(grammar_network.dns_server(value) for value in given.list("dns")),
        dns_search=tuple(grammar_network.dns_search(value) for value in given.list("dns_search")),
        dns_option=tuple(grammar_network.dns_option(value) for value in given.list("dns_option")),
        add_host=tuple(grammar_network.add_host(value) for value in given.list("add_host")),
        no_hosts=given.flag("no_hosts"),
        hosts_file=_hosts_file(given, cwd),
        userns=_userns(given),
        pid=grammar_security.namespace(given.text("pid"), "--pid"),
        ipc=grammar_security.namespace(given.text("ipc"), "--ipc"),
        uts=grammar_security.namespace(given.text("uts"), "--uts"),
        cgroupns=grammar_security.namespace(given.text("cgroupns"), "--cgroupns"),
        privileged=privileged,
        cap_add=grammar_security.capabilities(given.list("cap_add"), "--cap-add"),
        cap_drop=grammar_security.capabilities(given.list("cap_drop"), "--cap-drop"),
        security=grammar_security.security(given.list("security_opt"), cwd, privileged=privileged),
        sysctls=_sysctls(given),
    )
    _refuse_conflicts(request)
    return request


class _Options:
    """Access to an attribute bag in which any option may be missing or None."""

    def __init__(self, args: Any) -> None:
        self._args = args

    def get(self, name: str) -> str | None:
        value: str | None = getattr(self._args, name, None)
        return value

    def has(self, name: str) -> bool:
        return hasattr(self._args, name)

    def text(self, name: str, check: Callable[[str], str] | None = None) -> str:
        value = self.get(name)
        if value is None:
            return ""
        return check(value) if check else value

    def list(self, name: str) -> list[str]:
        value = getattr(self._args, name, None) or ()
        return [value] if isinstance(value, str) else [*value]

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = getattr(self._args, name, None)
        return default if value is None else bool(value)

    def number(self, name: str, low: int, high: int, default: int | None) -> Any:
        value: int | None = getattr(self._args, name, None)
        if value is None:
            return default
        if not low <= value <= high:
            option = "--" + name.replace("_", "-")
            raise grammar.refusal(option, str(value), f"it is not between {low} and {high}")
        return value


def _image(given: _Options, cwd: str) -> tuple[str, str]:
    """Return the image, or the directory that stands for one, and in which way it does (--rootfs)."""
    name = given.text("image")
    if not given.flag("rootfs"):
        return name, ""
    name, _, option = name.partition(":")
    if option not in ("", "O"):
        raise grammar.refusal("--rootfs", f"{name}:{option}", "it is neither DIRECTORY nor DIRECTORY:O")
    path = os.path.normpath(os.path.join(cwd, name))
    if _check_exists(path, "use", "").st_mode & 0o170000 != 0o040000:
        raise UsageError(f"cannot use {printable(path)} as root: it is no directory")
    return path, "overlay" if option else "bind"


def _platform(given: _Options, caller: Mapping[str, str]) -> tuple[str, str, str]:
    """Return the platform that the image is to be for, empty strings if nothing was asked for."""
    platform = asked_platform(
        given.text("platform") or caller.get("DOCKER_DEFAULT_PLATFORM", ""),
        os=given.text("os"),
        architecture=given.text("arch"),
        variant=given.text("variant"),
    )
    return (platform.os, platform.architecture, platform.variant) if platform else ("", "", "")


def _attached(given: _Options) -> tuple[str, ...]:
    streams = tuple(value.lower() for value in given.list("attach"))
    for stream in streams:
        grammar.choice(stream, ("stdin", "stdout", "stderr"), "--attach")
    if streams and given.flag("detach"):
        raise UsageError("--attach and --detach exclude each other")
    return streams


def _network(values: list[str]) -> Network:
    if len(values) > 1:
        raise UsageError("--network is given more than once", "a container has one network for now")
    return grammar_network.network(values[0] if values else "")


def _groups(given: _Options) -> tuple[str, ...]:
    groups = tuple(grammar.group(value) for value in given.list("group_add"))
    if KEEP_GROUPS[0] in groups and groups != KEEP_GROUPS:
        raise UsageError("--group-add=keep-groups cannot be combined with other groups")
    return groups


def _ports(given: _Options, network: Network, warn: Callable[[str], None]) -> tuple[Port, ...]:
    ports = grammar_network.all_ports(given.list("publish"))
    if (ports or given.flag("publish_all")) and network.mode != "slirp4netns":
        warn(f"published ports are ignored: with --network={network.mode} there is nothing to forward")
        return ()
    return ports


def _log_options(values: list[str], driver: str, cwd: str) -> LogOptions:
    if not values and driver != "journald":  # nearly always; spares the hot path one more module
        return LogOptions()
    from daemonless.containers.grammar_logs import log_options  # noqa: PLC0415 - see above

    return log_options(values, driver, cwd)


def _labels(given: _Options) -> tuple[tuple[str, str], ...]:
    labels: dict[str, str] = {}
    for path in given.list("label_file"):
        labels.update(grammar.labels_of_file(read_text(path, "--label-file"), path))
    labels.update(grammar.key_value(value, "--label") for value in given.list("label"))
    return tuple(labels.items())


def _workdir(value: str) -> str:
    if not value.startswith("/") or "\0" in value:
        raise grammar.refusal("--workdir", value, "it is not an absolute path")
    return value


def _detach_keys(value: str | None) -> tuple[int, ...]:
    return grammar.detach_keys("ctrl-p,ctrl-q" if value is None else value)


def _restart(value: str) -> Restart:
    policy, retries = grammar.restart_policy(value)
    return Restart(policy=policy, retries=retries)


def _health(args: Any) -> Health:
    given = {name: value for name in _HEALTH if (value := getattr(args, name, None)) not in (None, "")}
    if given.get("health_on_failure") == "none":
        del given["health_on_failure"]
    if not any(value is not False for value in given.values()):  # nearly always
        return Health()
    from daemonless.containers.grammar_health import health  # noqa: PLC0415 - as above

    return health(given)


def _userns(given: _Options) -> Userns:
    uids, gids = given.list("uidmap"), given.list("gidmap")
    value = given.text("userns")
    names = {name: given.text(name) for name in ("subuidname", "subgidname") if given.get(name)}
    if names and (value or uids or gids):
        raise UsageError(
            "--subuidname and --subgidname, --uidmap and --gidmap, and --userns exclude each other"
        )
    for option, name in names.items():
        if name not in names_of(os.getuid()):
            file = f"/etc/{option.removesuffix('name')}"
            raise UsageError(
                f"the ids of {printable(name)} in {file} are not yours", "newuidmap maps your own alone"
            )
    if names:
        return grammar_security.userns("nomap")
    if not (value or uids or gids):
        if not given.has("userns"):  # a build
            return Userns()
        return grammar_security.userns(os.environ.get("PODMAN_USERNS", ""), "PODMAN_USERNS")
    return grammar_security.id_maps(value, uids, gids)


def _stop_signal(value: str) -> int:
    return grammar.signal(value, "--stop-signal") if value else 0


def _sysctls(given: _Options) -> tuple[tuple[str, str], ...]:
    sysctls = {}
    for value in given.list("sysctl"):
        name, text, namespace = grammar.sysctl(value)
        shared = "host" in given.list("network")
        if namespace == "ipc":
            shared = given.text("ipc").partition(":")[0] in ("host", "container", "ns")
        if shared:
            raise grammar.refusal("--sysctl", value, f"the container has no {namespace} namespace of its own")
        sysctls[name] = text
    return tuple(sysctls.items())


def _mounts(given: _Options, cwd: str) -> tuple[Mount, ...]:
    mounts = [
        *(grammar_mounts.volume(value, cwd) for value in given.list("volume")),
        *(grammar_mounts.mount(value, cwd) for value in given.list("mount")),
        *(grammar_mounts.tmpfs(value) for value in given.list("tmpfs")),
    ]
    taken = set()
    for mount in mounts:
        if mount.destination in taken:
            raise UsageError(f"two mounts have the destination {printable(mount.destination)}")
        taken.add(mount.destination)
        if mount.type == "bind":
            status = _check_exists(mount.source, "mount", f"mkdir -p {printable(mount.source)}")
            if mount.overlay and status.st_mode & 0o170000 != 0o040000:
                raise UsageError(f"cannot mount {printable(mount.source)} with option O: it is no directory")
    if given.text("tz") and "/etc/localtime" not in taken:
        mounts.append(_zone(given.text("tz")))
    return tuple(mounts)


def _zone(name: str) -> Mount:
    """Return the mount that makes the container's local time that of a zone of tzdata, or this machine's."""
    path = "/etc/localtime" if name == "local" else f"/usr/share/zoneinfo/{name}"
    if ".." in name.split("/") or name.startswith("/") or not os.path.isfile(path):
        raise UsageError(
            f"invalid value for --tz, {name!r}: there is no such time zone here",
            "for example Europe/Lisbon, or local; the package tzdata has them",
        )
    options = ("rbind", "rprivate", "ro", "nosuid", "nodev", "noexec")
    return Mount(destination="/etc/localtime", type="bind", source=path, options=options)


def _hosts_file(given: _Options, cwd: str) -> str:
    value = given.text("hosts_file")
    if value and given.flag("no_hosts"):
        raise UsageError("--hosts-file and --no-hosts exclude each other")
    if value in ("", "none"):
        return value
    if value == "image":
        raise UsageError("--hosts-file=image: the image's own file is kept by --no-hosts")
    path = os.path.join(cwd, value)
    _check_exists(path, "read", "")
    return path


def _image_volume(value: str) -> str:
    kinds = ("bind", "anonymous", "tmpfs", "ignore")
    kind = grammar.choice(value or "bind", kinds, "--image-volume")
    return "bind" if kind == "anonymous" else kind


def _secrets(values: list[str]) -> tuple[Secret, ...]:
    if not values:
        return ()
    from daemonless.containers import grammar_secrets  # noqa: PLC0415 - few containers have secrets

    return tuple(grammar_secrets.secret(value) for value in values)


def _devices(given: _Options) -> tuple[Device, ...]:
    devices = tuple(
        grammar_mounts.device(value) for value in given.list("device") if not _is_device_name(value)
    )
    for device in devices:
        kind = _check_exists(device.source, "add device", "").st_mode & 0o170000
        if kind not in (0o020000, 0o060000, 0o040000):
            raise UsageError(f"cannot add device {printable(device.source)}: it is not a device")
    return devices


def _is_device_name(value: str) -> bool:
    return "=" in value and not value.startswith("/")


def _named_devices(given: _Options) -> tuple[str, ...]:
    names, gpus = [each for each in given.list("device") if _is_device_name(each)], given.list("gpus")
    if not names and not gpus:
        return ()
    from daemonless.containers.cdi import device_names  # noqa: PLC0415 - few containers have such

    return device_names(names, gpus)


def _check_exists(path: str, verb: str, hint: str) -> os.stat_result:
    try:
        return os.stat(path)
    except FileNotFoundError:
        raise UsageError(f"cannot {verb} {printable(path)}: it does not exist", hint) from None
    except OSError as error:
        raise UsageError(f"cannot {verb} {printable(path)}: {error.strerror}") from error


def _refuse_conflicts(request: RunRequest) -> None:
    mode = request.network.mode
    if mode == "none" and (request.dns or request.dns_search or request.dns_option):
        raise UsageError("--dns has no meaning with --network=none")
    if request.mac_address and mode != "slirp4netns":
        raise UsageError(f"--mac-address has no meaning with --network={mode}")
    if "none" in request.dns and len(request.dns) > 1:
        raise UsageError("--dns=none cannot be combined with other resolvers")
    if request.hostname and request.uts != "private":
        raise UsageError(f"--hostname cannot be combined with --uts={request.uts}")
    if request.rm and request.restart.policy != "no":
        raise UsageError(
            f"--rm cannot be combined with --restart={request.restart.policy}: the end of the container "
            "would both remove and restart it",
            "leave one of them out",
        )
    if request.health.on_failure == "restart" and request.restart.policy != "no":
        raise UsageError(
            f"--health-on-failure=restart cannot be combined with --restart={request.restart.policy}: "
            "both would start the container again",
            "with --health-on-failure=kill the restart policy does",
        )
    if request.init and request.pid != "private":
        raise UsageError(f"--init cannot be combined with --pid={request.pid}: its process must have pid 1")
