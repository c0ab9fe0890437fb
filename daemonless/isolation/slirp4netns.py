"""slirp4netns(1): a user-mode TCP/IP stack on a tap device inside the container's network namespace.

The helper starts while the container is still mounting, and dies with its supervisor because it
holds the read end of a pipe (--exit-fd). Ports are published through its API socket, which lies
in the supervisor's working directory: a socket address holds 108 bytes, a run directory may not.
"""

from __future__ import annotations

import _socket
import os
import select

from daemonless import jsonio
from daemonless.errors import SetupFailed
from daemonless.files import unlink_if_there
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GUEST_ADDRESS = "10.0.2.100"
GATEWAY_ADDRESS = "10.0.2.2"
DNS_ADDRESS = "10.0.2.3"

_READY_FD, _EXIT_FD = 100, 101  # what the helper inherits; far from anything posix_spawn has open
_API_SOCKET = "slirp4netns.sock"
_READY_TIMEOUT = 20_000  # ms; it takes 3 on an idle machine


class Port(Record):
    """One published port; `host_port` 0 asks for a free one."""

    host_ip: str
    host_port: int
    container_port: int
    protocol: str = "tcp"


class Options(Record):
    """What the command line may choose (slirp4netns(1), OPTIONS)."""

    ports: tuple[Port, ...] = ()
    mac_address: str = ""
    mtu: int = 65520
    cidr: str = ""
    allow_host_loopback: bool = False
    enable_ipv6: bool = True


def find_program() -> str:
    """Return the helper's path; raises SetupFailed with the package to install."""
    for directory in ("/usr/bin", "/usr/local/bin", "/bin"):
        if os.access(f"{directory}/slirp4netns", os.X_OK):
            return f"{directory}/slirp4netns"
    raise SetupFailed(
        "slirp4netns is not installed, so the container cannot have a network of its own",
        "sudo apt-get install slirp4netns, or use --network=none or --network=host",
    )


class Slirp4netns:
    """One helper process; implements `isolation.launch.Network`."""

    def __init__(self, options: Options, directory: str) -> None:
        self.options = options
        self.pid = -1
        self.ports: tuple[Port, ...] = ()  # as published, with the host ports that were chosen
        self._directory = directory
        self._program = find_program()
        self._ready = self._output = self._exit = -1

    def start(self, pid: int) -> None:
        """Spawn the helper for the network namespace of `pid`."""
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            raise SetupFailed(
                "cannot open /dev/net/tun, which slirp4netns needs",
                "sudo modprobe tun && sudo chmod 0666 /dev/net/tun, or use --network=none or --network=host",
            )
        self._ready, ready_write = os.pipe()
        exit_read, self._exit = os.pipe()
        self._output = os.memfd_create("slirp4netns-output")
        actions: list[Any] = [
            (os.POSIX_SPAWN_DUP2, ready_write, _READY_FD),
            (os.POSIX_SPAWN_DUP2, exit_read, _EXIT_FD),
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, self._output, 1),
            (os.POSIX_SPAWN_DUP2, self._output, 2),
        ]
        self.pid = os.posix_spawn(
            self._program, self._argv(pid), {"PATH": "/usr/bin:/bin"}, file_actions=actions
        )
        os.close(ready_write)
        os.close(exit_read)

    def _argv(self, pid: int) -> list[str]:
        options = self.options
        argv = [
            self._program,
            "--configure",
            f"--mtu={options.mtu}",
            f"--ready-fd={_READY_FD}",
            f"--exit-fd={_EXIT_FD}",
            "--enable-sandbox",
            "--enable-seccomp",
        ]
        if not options.allow_host_loopback:
            argv.append("--disable-host-loopback")
        if options.enable_ipv6:
            argv.append("--enable-ipv6")
        if options.cidr:
            argv.append(f"--cidr={options.cidr}")
        if options.mac_address:
            argv.append(f"--macaddress={options.mac_address}")
        if options.ports:
            argv.append(f"--api-socket={_API_SOCKET}")
        return [*argv, str(pid), "tap0"]

    def wait_ready(self) -> None:
        """Return once the tap device is configured and all ports are published."""
        if self._ready < 0:
            return
        poll = select.poll()
        poll.register(self._ready, select.POLLIN)
        answer = os.read(self._ready, 1) if poll.poll(_READY_TIMEOUT) else b""
        os.close(self._ready)
        self._ready = -1
        if not answer:
            said = os.pread(self._output, 2000, 0).decode("utf-8", "replace").strip()
            telling = [line for line in said.splitlines() if not line.startswith("WARNING")]
            reason = telling[0] if telling else "it gave no reason"
            raise SetupFailed(f"slirp4netns failed: {reason}", "try --network=none or --network=host")
        self.ports = tuple(self._publish(port) for port in self.options.ports)

    def _publish(self, port: Port) -> Port:
        """Forward a host port through the helper's API (slirp4netns(1), API SOCKET)."""
        if port.host_port == 0:
            port = port.replace(host_port=_bind_probe(port))
        arguments = {
            "proto": port.protocol,
            "host_addr": port.host_ip or "0.0.0.0",
            "host_port": port.host_port,
            "guest_addr": guest_address(self.options.cidr),
            "guest_port": port.container_port,
        }
        answer = self._ask({"execute": "add_hostfwd", "arguments": arguments})
        if "error" in answer:
            raise SetupFailed(
                f"cannot publish port {port.host_port}/{port.protocol}: {_why_refused(port)}",
                "choose another host port, or let one be chosen: -p " + str(port.container_port),
            )
        return port

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        api = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            api.settimeout(10)
            api.connect(_API_SOCKET)
            api.sendall(jsonio.dumps(request).encode())
            api.shutdown(_socket.SHUT_WR)
            data = b""
            while part := api.recv(4096):
                data += part
        finally:
            api.close()
        answer: dict[str, Any] = jsonio.loads(data, what="answer of slirp4netns")
        return answer

    def stop(self) -> None:
        """End the helper and reap it."""
        if self.pid > 0:
            try:
                os.kill(self.pid, 9)
            except ProcessLookupError:
                pass
            os.waitpid(self.pid, 0)
            self.pid = -1
        for fd in (self._exit, self._output, self._ready):
            if fd >= 0:
                os.close(fd)
        self._exit = self._output = self._ready = -1
        if self.options.ports:
            unlink_if_there(f"{self._directory}/{_API_SOCKET}")


def guest_address(cidr: str) -> str:
    """Return the container's address in the helper's network: host number 100 of `cidr`."""
    return f"{cidr.rpartition('.')[0]}.100" if cidr else GUEST_ADDRESS


def _bind_probe(port: Port) -> int:
    """Bind the host side of `port` for a moment; return the port number. Raises OSError."""
    family = _socket.AF_INET6 if ":" in port.host_ip else _socket.AF_INET
    kind = _socket.SOCK_DGRAM if port.protocol == "udp" else _socket.SOCK_STREAM
    probe = _socket.socket(family, kind)
    try:
        probe.bind((port.host_ip or "0.0.0.0", port.host_port))
        chosen: int = probe.getsockname()[1]
        return chosen
    finally:
        probe.close()


def _why_refused(port: Port) -> str:
    """Find out why the helper could not bind, which its answer does not tell."""
    try:
        _bind_probe(port)
    except PermissionError:
        return "ports below the sysctl net.ipv4.ip_unprivileged_port_start need privileges"
    except OSError as error:
        return os.strerror(error.errno or 0).lower()
    return "slirp4netns refused it"
