"""/etc/hosts, /etc/hostname, /etc/resolv.conf and /run/.containerenv of a container.

They are generated at every start into the container's private run directory and bound from
there; the host's own files are only read, with bounds.
"""

from __future__ import annotations

import _socket
import os

from daemonless.errors import DaemonlessError
from daemonless.files import read_file, write_atomic
from daemonless.isolation.slirp4netns import DNS_ADDRESS, GATEWAY_ADDRESS, Options, Port, guest_address
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from daemonless.containers.request import RunRequest

_LIMIT = 1 << 20


class NetworkFacts(Record):
    """What the files must tell."""

    mode: str  # none, host or slirp4netns
    hostname: str
    names: tuple[str, ...] = ()  # further names of the container itself
    address: str = ""  # of the container, where it has one of its own
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    add_hosts: tuple[tuple[str, str], ...] = ()  # (name, address or "host-gateway")
    hosts_file: str = ""  # what hosts(5) takes over from; none: nothing; empty: what the mode needs
    host_loopback: bool = False  # the gateway leads to the host's loopback interface


def network_facts(request: RunRequest, spec: dict[str, Any], name: str = "") -> NetworkFacts:
    """Return what the files of a container tell; `name` is a further one of it."""
    mode = request.network.mode
    return NetworkFacts(
        mode=mode,
        hostname=spec.get("hostname") or os.uname().nodename,
        names=(name,) if name else (),
        address=guest_address(request.network.cidr) if mode == "slirp4netns" else "",
        dns=request.dns,
        dns_search=request.dns_search,
        dns_options=request.dns_option,
        add_hosts=request.add_host,
        hosts_file=request.hosts_file,
        host_loopback=request.network.allow_host_loopback,
    )


def slirp_options(request: RunRequest) -> Options:
    """Return what slirp4netns is to do for a container."""
    network = request.network
    return Options(
        ports=tuple(
            Port(
                host_ip=port.host_ip,
                host_port=port.host_port,
                container_port=port.container_port,
                protocol=port.protocol,
            )
            for port in request.publish
        ),
        mac_address=request.mac_address,
        mtu=network.mtu,
        cidr=network.cidr,
        allow_host_loopback=network.allow_host_loopback,
        enable_ipv6=network.enable_ipv6,
    )


def write_files(directory: str, facts: NetworkFacts) -> None:
    """Write the four files into `directory`."""
    for name, text in (
        ("hosts", hosts(facts, _base(facts))),
        ("hostname", f"{facts.hostname}\n"),
        ("resolv.conf", resolv_conf(facts, _read("/etc/resolv.conf"))),
        (".containerenv", ""),
    ):
        write_atomic(f"{directory}/{name}", text.encode(), durable=False, mode=0o644)


def _base(facts: NetworkFacts) -> str:
    if facts.hosts_file:
        return "" if facts.hosts_file == "none" else _read(facts.hosts_file)
    return _read("/etc/hosts") if facts.mode == "host" else ""


def _read(path: str) -> str:
    try:
        return read_file(path, _LIMIT).decode("utf-8", "replace")
    except (OSError, DaemonlessError):
        return ""


def hosts(facts: NetworkFacts, base: str) -> str:
    """Return hosts(5): the additions first, then what is taken over, then the container itself."""
    gateway = _gateway(facts)
    lines = []
    for name, address in facts.add_hosts:
        resolved = gateway if address == "host-gateway" else address
        if resolved:
            lines.append(f"{resolved}\t{name}")
    lines.extend(line for line in base.splitlines() if line.strip())
    is_hosts = facts.mode == "host" and not facts.hosts_file
    if not is_hosts:
        lines += ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    if gateway and facts.mode != "none":
        lines.append(f"{gateway}\thost.containers.internal host.docker.internal")
    own = " ".join(dict.fromkeys((facts.hostname, *facts.names)))
    if not is_hosts:
        lines.append(f"{facts.address or '127.0.1.1'}\t{own}")
    return "\n".join(lines) + "\n"


def _gateway(facts: NetworkFacts) -> str:
    """Return an address at which the container reaches the host, or nothing."""
    if facts.mode == "none":
        return ""
    if facts.mode == "host":
        return "127.0.0.1"
    return GATEWAY_ADDRESS if facts.host_loopback else _own_address()


def _own_address() -> str:
    """Return this machine's address towards the outside; connect(2) on UDP sends nothing."""
    probe = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
        return address
    except OSError:
        return ""
    finally:
        probe.close()


def resolv_conf(facts: NetworkFacts, host_text: str) -> str:
    """Return resolv.conf(5): the options given, else the host's, without loopback resolvers.

    Without a network there is no resolver unless one is asked for.
    """
    servers, search, options = _parse_resolv_conf(host_text)
    if facts.mode == "none":
        servers, search, options = [], [], []
    elif facts.mode == "slirp4netns":
        outside = [server for server in servers if not _is_loopback(server)]
        servers = [DNS_ADDRESS, *outside]
    servers = list(facts.dns) or servers
    search = [domain for domain in facts.dns_search or search if domain != "."]
    options = list(facts.dns_options) or options
    lines = [f"search {' '.join(search)}"] if search else []
    lines += [f"nameserver {server}" for server in servers]
    if options:
        lines.append(f"options {' '.join(options)}")
    return "".join(f"{line}\n" for line in lines)


def _parse_resolv_conf(text: str) -> tuple[list[str], list[str], list[str]]:
    servers: list[str] = []
    search: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            search = words[1:]
        elif words[0] == "options":
            options.extend(words[1:])
    return servers, search, options


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"
