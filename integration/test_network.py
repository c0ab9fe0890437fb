"""Networks: none, host, slirp4netns; published ports; the files that resolve names."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Cli, eventually


@pytest.fixture
def host_service() -> Iterator[int]:
    """A TCP server on the host's loopback; gives its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.sendall(b"host loopback\n")
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(port: int, address: str = "127.0.0.1") -> bytes:
    """Return what a TCP server says first; empty if nobody answers."""
    try:
        with socket.create_connection((address, port), 3) as connection:
            return connection.recv(100)
    except OSError:
        return b""


def test_none_has_loopback_only(cli: Cli, image: str) -> None:
    shown = cli("run", "--rm", "--network=none", image, "ip", "-o", "addr").stdout
    assert {line.split()[1] for line in shown.splitlines()} == {"lo"} and "127.0.0.1/8" in shown


def test_the_default_has_an_address_and_a_route(cli: Cli, image: str) -> None:
    shown = cli("run", "--rm", image, "sh", "-c", "ip -o -4 addr show tap0; ip route").stdout
    assert "10.0.2.100/24" in shown and "default via 10.0.2.2 dev tap0" in shown


@pytest.mark.parametrize("network", ["slirp4netns", "none"])
def test_the_hosts_loopback_is_out_of_reach(cli: Cli, image: str, host_service: int, network: str) -> None:
    """The rule of podman#28718; the twin below shows that the service does answer."""
    script = f"nc -w 2 127.0.0.1 {host_service}; nc -w 2 10.0.2.2 {host_service}"
    result = cli("run", "--rm", f"--network={network}", image, "sh", "-c", script, status=None)
    assert "host loopback" not in result.stdout


def test_with_the_hosts_network_its_loopback_answers(cli: Cli, image: str, host_service: int) -> None:
    result = cli("run", "--rm", "--network=host", image, "nc", "-w", "2", "127.0.0.1", str(host_service))
    assert result.stdout == "host loopback\n"


def test_slirp4netns_option_allows_the_hosts_loopback(cli: Cli, image: str, host_service: int) -> None:
    network = "--network=slirp4netns:allow_host_loopback=true"
    result = cli("run", "--rm", network, image, "nc", "-w", "2", "10.0.2.2", str(host_service))
    assert result.stdout == "host loopback\n"


SERVE = "while :; do echo from inside | nc -l -p 80; done"


@pytest.mark.parametrize("form", ["{port}:80", "127.0.0.1:{port}:80", "{port}:80/tcp"])
def test_a_published_port_answers_on_the_hosts_loopback(cli: Cli, image: str, form: str) -> None:
    port = free_port()
    cli("run", "-d", "--name", "web", "-p", form.format(port=port), image, "sh", "-c", SERVE)
    eventually(lambda: ask(port) == b"from inside\n")
    assert re.search(rf":{port}->80/tcp", cli("ps", "--format", "{{.Ports}}").stdout)
    cli("rm", "-f", "-t", "0", "web")
    eventually(lambda: ask(port) == b"")


def test_a_host_port_is_chosen(cli: Cli, image: str) -> None:
    cli("run", "-d", "--name", "web", "-p", "80", image, "sh", "-c", SERVE)
    (port,) = re.findall(r":(\d+)->80/tcp", cli("ps", "--format", "{{.Ports}}").stdout)
    eventually(lambda: ask(int(port)) == b"from inside\n")


ECHO = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 7))
while True:
    server.sendto(*server.recvfrom(100))
"""


def test_a_udp_port(cli: Cli, image: str) -> None:
    """The starter image speaks no UDP, so the host's Python does, mounted into it.

    From the host's own loopback slirp4netns forwards UDP only where it allows the way back.
    """
    port = free_port()
    host = [f"--volume={source}:{target}:ro" for source, target in (("/usr", "/usr"), ("/usr/lib", "/lib"))]
    host += ["--volume=/usr/lib64:/lib64:ro"] if Path("/usr/lib64").exists() else []
    both = ["--network=slirp4netns:allow_host_loopback=true"]
    cli(
        "run",
        "-d",
        "--name",
        "echo",
        "-p",
        f"{port}:7/udp",
        *both,
        *host,
        image,
        "/usr/bin/python3",
        "-c",
        ECHO,
    )

    def echoed() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.5)
            client.sendto(b"ping", ("127.0.0.1", port))
            try:
                return client.recv(10) == b"ping"
            except OSError:
                return False

    eventually(echoed)


def test_a_port_that_is_taken(cli: Cli, image: str, host_service: int) -> None:
    result = cli("run", "--rm", "-p", f"127.0.0.1:{host_service}:80", image, "true", status=125)
    assert re.match(rf"Error: .*{host_service}.*in use\nHint: ", result.stderr), str(result)
    assert cli.ids() == []


def test_a_privileged_port(cli: Cli, image: str) -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first == 0:
        cli("run", "--rm", "-p", "81:80", image, "true")
        return
    result = cli("run", "--rm", "-p", "81:80", image, "true", status=125)
    assert "81" in result.stderr and "ip_unprivileged_port_start" in result.stderr, str(result)


# options; file; a pattern that one of its lines matches
FILES = [
    ("--dns 192.0.2.1 --dns 192.0.2.2", "/etc/resolv.conf", r"nameserver 192.0.2.1\nnameserver 192.0.2.2"),
    ("--dns-search example.org", "/etc/resolv.conf", r"search example\.org"),
    ("--dns-option ndots:3", "/etc/resolv.conf", r"options ndots:3"),
    ("", "/etc/resolv.conf", r"nameserver \S+"),
    ("--add-host db:192.0.2.9", "/etc/hosts", r"192\.0\.2\.9\s+db"),
    ("", "/etc/hosts", r"127\.0\.0\.1\s+localhost"),
    ("--hostname box", "/etc/hosts", r"10\.0\.2\.100\s+box.*"),
]


@pytest.mark.parametrize(("options", "file", "pattern"), FILES)
def test_files_of_the_resolver(cli: Cli, image: str, options: str, file: str, pattern: str) -> None:
    shown = cli("run", "--rm", *options.split(), image, "cat", file).stdout
    assert re.search(rf"^{pattern}$", shown, re.MULTILINE), shown


def test_the_hosts_loopback_resolvers_are_left_out(cli: Cli, image: str) -> None:
    shown = cli("run", "--rm", image, "cat", "/etc/resolv.conf").stdout
    assert not re.search(r"^nameserver (127\.|::1)", shown, re.MULTILINE), shown


def test_mac_address(cli: Cli, image: str) -> None:
    shown = cli(
        "run", "--rm", "--mac-address", "02:11:22:33:44:55", image, "ip", "-o", "link", "show", "tap0"
    )
    assert "02:11:22:33:44:55" in shown.stdout


def test_all_exposed_ports_are_published(cli, image, scratch):
    cli("create", "--name=made", "--network=none", image, "true")
    cli("commit", "-q", "--change=EXPOSE 7001 7002/udp", "made", "exposing")
    script = "nc -lp 7001 -e echo one & nc -lp 7003 -e echo three & wait"
    cli(
        "run",
        "-d",
        "--name=box",
        "-P",
        "-p",
        "127.0.0.1::7001",
        "--expose",
        "7003-7004",
        "exposing",
        "sh",
        "-c",
        script,
    )
    ports = json.loads(cli("inspect", "--format={{json .NetworkSettings.Ports}}", "box").stdout)
    assert sorted(ports) == ["7001/tcp", "7002/udp", "7003/tcp", "7004/tcp"]
    assert [entry["HostIp"] for entry in ports["7001/tcp"]] == ["127.0.0.1"]
    host_port = ports["7003/tcp"][0]["HostPort"]
    assert int(host_port) > 0 and cli("port", "box", "7003").stdout.strip().endswith(f":{host_port}")
    eventually(lambda: answer(int(host_port)) == b"three\n")
    exposed = json.loads(cli("inspect", "--format={{json .Config.ExposedPorts}}", "box").stdout)
    assert sorted(exposed) == ["7001/tcp", "7002/udp", "7003/tcp", "7004/tcp"]
    assert cli("ps", "-q", "--filter=expose=7004").stdout
    cli("run", "--rm", "--network=none", "-P", "exposing", "true")


def answer(port: int) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            return connection.recv(100)
    except OSError:
        return b""
