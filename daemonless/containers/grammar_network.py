"""What `--network`, `-p`, `--dns`, `--add-host` and `--mac-address` take.

Every value here ends in /etc/hosts, /etc/resolv.conf or in the arguments of slirp4netns, so each
is matched as a whole: an address is what inet_pton(3) takes, a name is made of letters, digits,
dots and dashes.
"""

from __future__ import annotations

import _socket

from daemonless.containers.grammar import (
    ALPHANUMERIC,
    NAME_CHARACTERS,
    boolean,
    choice,
    number,
    one_line,
    refusal,
)
from daemonless.containers.request import Network, Port
from daemonless.errors import Unsupported, UsageError, printable

HOST_GATEWAY = "host-gateway"
_PRIVATE = ("", "default", "private", "bridge", "slirp4netns")


def network(value: str, option: str = "--network") -> Network:
    """Parse `none`, `host` or `slirp4netns[:key=value,...]`; what podman calls private is the last.

    Raises UsageError, or Unsupported for networks that have a name or belong to others.
    """
    mode, colon, options = value.partition(":")
    if mode in ("none", "host") and not colon:
        return Network(mode=mode)
    if mode in _PRIVATE and (not colon or mode == "slirp4netns"):
        return _slirp4netns(options, option, value)
    if mode in ("container", "ns", "pasta"):
        raise Unsupported(
            f"cannot use network {printable(value)}: {mode} networks are not supported yet",
            "use none, host or slirp4netns",
        )
    if not mode or not NAME_CHARACTERS.issuperset(mode):
        raise refusal(option, value, "it is none of none, host, slirp4netns[:options]")
    raise Unsupported(
        f"cannot use network {printable(mode)}: named networks are not supported yet",
        "use none, host or slirp4netns",
    )


def _slirp4netns(options: str, option: str, value: str) -> Network:
    result = Network()
    for word in options.split(",") if options else ():
        key, _, text = word.partition("=")
        if key in ("allow_host_loopback", "enable_ipv6"):
            result = result.replace(**{key: boolean(text, option)})
        elif key == "mtu":
            result = result.replace(mtu=number(text, 576, 65521, "the mtu", option, value))
        elif key == "cidr":
            result = result.replace(cidr=_cidr(text, option, value))
        elif key == "port_handler":
            choice(text, ("slirp4netns",), f"{option} {key}")
        else:
            raise refusal(option, value, f"slirp4netns has no option {printable(key)}")
    return result


def _cidr(text: str, option: str, value: str) -> str:
    """Check an IPv4 network; slirp4netns(1) wants at least the addresses up to .100 in it."""
    base, slash, prefix = text.partition("/")
    if not slash or not is_ipv4(base):
        raise refusal(option, value, "the cidr is not an IPv4 network such as 10.0.2.0/24")
    bits = number(prefix, 1, 25, "the cidr's prefix length", option, value)
    if int.from_bytes(_socket.inet_pton(_socket.AF_INET, base), "big") & ((1 << (32 - bits)) - 1):
        raise refusal(option, value, "the cidr's address has bits set beyond its prefix")
    return text


def is_ipv4(text: str) -> bool:
    """Return whether `text` is a dotted quad."""
    return _is_address(text, _socket.AF_INET)


def is_ipv6(text: str) -> bool:
    """Return whether `text` is an IPv6 address without zone or brackets."""
    return _is_address(text, _socket.AF_INET6)


def _is_address(text: str, family: int) -> bool:
    try:
        _socket.inet_pton(family, text)
    except (OSError, ValueError):  # ValueError: NUL, or not ASCII
        return False
    return True


def publish(value: str, option: str = "--publish") -> list[Port]:
    """Parse `[[IP:][HOST]:]CONTAINER[/PROTOCOL]` into its ports; HOST and CONTAINER may be ranges.

    Raises UsageError, or Unsupported for sctp.
    """
    hint = "write [[IP:][HOST]:]CONTAINER[/PROTOCOL], for example 8080:80 or [::1]:5353:53/udp"
    one_line(value, option)
    rest, _, protocol = value.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol == "sctp":
        raise Unsupported(f"cannot publish {printable(value)}: sctp does not pass slirp4netns")
    choice(protocol, ("tcp", "udp"), f"{option} {printable(value)}")
    host_ip = ""
    if rest.startswith("["):
        host_ip, bracket, rest = rest[1:].partition("]")
        if not bracket or not is_ipv6(host_ip) or not rest.startswith(":"):
            raise refusal(option, value, "the address in brackets is no IPv6 address", hint)
        rest = rest[1:]
        host, colon, container = rest.partition(":")
        if not colon:
            raise refusal(option, value, "it has an address but no port of the host", hint)
    else:
        fields = rest.split(":")
        if len(fields) > 3:
            raise refusal(option, value, "it has more than three fields", hint)
        container = fields[-1]
        host = fields[-2] if len(fields) > 1 else ""
        if len(fields) == 3:
            host_ip = fields[0]
            if host_ip and not is_ipv4(host_ip):
                raise refusal(option, value, f"{printable(host_ip)!r} is no IP address", hint)
    first, last = _range(container, "the container's port", option, value)
    if not host:
        return [
            Port(host_ip=host_ip, host_port=0, container_port=port, protocol=protocol)
            for port in range(first, last + 1)
        ]
    host_first, host_last = _range(host, "the host's port", option, value)
    if host_last - host_first != last - first:
        raise refusal(option, value, "the two ranges differ in length")
    return [
        Port(host_ip=host_ip, host_port=host_first + step, container_port=first + step, protocol=protocol)
        for step in range(last - first + 1)
    ]


def _range(text: str, what: str, option: str, value: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    first = number(low, 1, 65535, what, option, value)
    last = number(high, 1, 65535, what, option, value) if dash else first
    if last < first:
        raise refusal(option, value, f"{what} range is upside down")
    return first, last


def all_ports(values: list[str], option: str = "--publish") -> tuple[Port, ...]:
    """Parse every `-p` and refuse a port of the host that is asked for twice."""
    ports: list[Port] = []
    taken = set()
    for value in values:
        for port in publish(value, option):
            key = (port.host_ip, port.host_port, port.protocol)
            if port.host_port and key in taken:
                raise UsageError(f"port {port.host_port}/{port.protocol} of the host is published twice")
            taken.add(key)
            ports.append(port)
    return tuple(ports)


def expose(value: str, option: str = "--expose") -> tuple[str, ...]:
    """Return each port of `PORT[-PORT][/PROTOCOL]` as an image's ExposedPorts has it: 80/tcp.

    Raises UsageError, or Unsupported for sctp.
    """
    if ":" in value:
        raise refusal(option, value, "it is not PORT[-PORT][/PROTOCOL]", "for example 80 or 5353/udp")
    return tuple(f"{port.container_port}/{port.protocol}" for port in publish(value, option))


def add_host(value: str, option: str = "--add-host") -> tuple[str, str]:
    """Parse `NAME:ADDRESS` or `NAME=ADDRESS` into a pair; ADDRESS may be `host-gateway`."""
    equals = value.find("=")
    colon = value.find(":")
    cut = equals if equals >= 0 and (colon < 0 or equals < colon) else colon
    if cut <= 0:
        raise refusal(option, value, "it is not NAME:ADDRESS")
    name, address = value[:cut], value[cut + 1 :]
    if not _is_domain(name):
        raise refusal(option, value, "the name is not a host name")
    if address.startswith("[") and address.endswith("]") and is_ipv6(address[1:-1]):
        address = address[1:-1]
    if address != HOST_GATEWAY and not is_ipv4(address) and not is_ipv6(address):
        raise refusal(option, value, "the address is neither an IP address nor host-gateway")
    return name, address


def dns_server(value: str, option: str = "--dns") -> str:
    """Check a resolver's address; `none` leaves the image's /etc/resolv.conf alone."""
    if value != "none" and not is_ipv4(value) and not is_ipv6(value):
        raise refusal(option, value, "it is neither an IP address nor none")
    return value


def dns_search(value: str, option: str = "--dns-search") -> str:
    """Check a search domain; `.` empties the search list."""
    if value != "." and not _is_domain(value.removesuffix(".")):
        raise refusal(option, value, "it is not a domain")
    return value


def dns_option(value: str, option: str = "--dns-option") -> str:
    """Check an option of resolv.conf(5), such as `ndots:2`."""
    if not value or not (ALPHANUMERIC | frozenset("-_:")).issuperset(value):
        raise refusal(option, value, "it is not an option of resolv.conf", "for example ndots:2")
    return value


def _is_domain(text: str) -> bool:
    return 0 < len(text) <= 253 and all(
        part and part[0] != "-" and len(part) <= 63 and NAME_CHARACTERS.issuperset(part)
        for part in text.split(".")
    )


def mac_address(value: str, option: str = "--mac-address") -> str:
    """Check a unicast MAC address and return it in lower case with colons."""
    parts = value.lower().replace("-", ":").split(":")
    if len(parts) != 6 or not all(len(p) == 2 and set("0123456789abcdef").issuperset(p) for p in parts):
        raise refusal(option, value, "it is not a MAC address", "for example 92:d0:c6:0a:29:33")
    if int(parts[0], 16) & 1 or set(parts) == {"00"}:
        raise refusal(option, value, "it is not the address of a single interface")
    return ":".join(parts)
