"""port: where the ports of containers are published."""

from __future__ import annotations

from daemonless.actions.selection import first_container
from daemonless.containers.store import Container, ContainerStore
from daemonless.errors import NotFound, UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Print `PORT/PROTOCOL -> ADDRESS:PORT` lines, or the right sides alone for one port."""
    store = ContainerStore(args.paths)
    words = list(args.words)
    if args.all:
        if words or args.latest:
            raise UsageError("--all goes with neither a container nor --latest")
        for container in store.containers():
            for port in _published(container):
                print(f"{container.id[:12]}\t{_inside(port)} -> {_outside(port)}")
        return 0
    container = first_container(store, words, latest=args.latest, ways="--all or --latest")
    if len(words) > 1:
        raise UsageError(f"too many arguments: {printable(words[1])}", "give one port, or none for all")
    ports = _published(container)
    if not words:
        for port in ports:
            print(f"{_inside(port)} -> {_outside(port)}")
        return 0
    wanted = _wanted(words[0])
    found = [port for port in ports if _inside(port) == wanted]
    if not found:
        raise NotFound(
            f"container {container.name} does not publish port {wanted}",
            f"daemonless port {container.name} lists the ones that it does" if ports else "",
        )
    for port in found:
        print(_outside(port))
    return 0


def _published(container: Container) -> list[dict[str, Any]]:
    """Return the ports in use while it runs, the ones asked for otherwise; in order.

    A port of the host that is chosen at each start is unknown in between, and left out.
    """
    state = container.state if container.is_running else None
    ports = (state or {}).get("ports") or container.record["request"]["publish"]
    known = [port for port in ports if port["host_port"]]
    return sorted(known, key=lambda port: (port["container_port"], port["protocol"], port["host_ip"]))


def _wanted(text: str) -> str:
    number, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    valid = number.isascii() and number.isdigit() and 0 < int(number) < 65536
    if not valid or protocol not in ("tcp", "udp"):
        raise UsageError(f"invalid port {printable(text)!r}", "write PORT or PORT/PROTOCOL, as in 53/udp")
    return f"{int(number)}/{protocol}"


def _inside(port: dict[str, Any]) -> str:
    return f"{port['container_port']}/{port['protocol']}"


def _outside(port: dict[str, Any]) -> str:
    address = port["host_ip"] or "0.0.0.0"
    return f"[{address}]:{port['host_port']}" if ":" in address else f"{address}:{port['host_port']}"
