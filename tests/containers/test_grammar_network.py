import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemonless.containers import grammar_network as gn
from daemonless.errors import Unsupported, UsageError


@pytest.mark.parametrize(
    ("value", "mode"),
    [
        ("none", "none"),
        ("host", "host"),
        ("", "slirp4netns"),
        ("default", "slirp4netns"),
        ("private", "slirp4netns"),
        ("bridge", "slirp4netns"),
        ("slirp4netns", "slirp4netns"),
    ],
)
def test_network(value, mode):
    assert gn.network(value).mode == mode


def test_slirp4netns_options():
    options = "allow_host_loopback=true,mtu=1500,enable_ipv6=false,cidr=10.1.2.0/24,port_handler=slirp4netns"
    network = gn.network(f"slirp4netns:{options}")
    assert (network.allow_host_loopback, network.mtu, network.enable_ipv6, network.cidr) == (
        True,
        1500,
        False,
        "10.1.2.0/24",
    )


@pytest.mark.parametrize(
    "value",
    ["slirp4netns:x=1", "slirp4netns:mtu=0", "slirp4netns:mtu=99999", "slirp4netns:cidr=10.0.2.1/24",
     "slirp4netns:cidr=10.0.2.0", "slirp4netns:cidr=10.0.2.0/30", "slirp4netns:cidr=::/64",
     "slirp4netns:port_handler=rootlesskit", "slirp4netns:allow_host_loopback", "a b", "host:x y"],
)  # fmt: skip
def test_network_refuses(value):
    with pytest.raises((UsageError, Unsupported), match=r"--network|not supported yet"):
        gn.network(value)


@pytest.mark.parametrize("value", ["mynet", "container:abc", "ns:/proc/1/ns/net", "pasta", "pasta:-t"])
def test_networks_of_later_versions(value):
    with pytest.raises(Unsupported, match="not supported yet") as caught:
        gn.network(value)
    assert "slirp4netns" in caught.value.hint


@pytest.mark.parametrize(
    ("value", "ports"),
    [
        ("80", [("", 0, 80, "tcp")]),
        ("8080:80", [("", 8080, 80, "tcp")]),
        (":80", [("", 0, 80, "tcp")]),
        ("8080:80/udp", [("", 8080, 80, "udp")]),
        ("8080:80/TCP", [("", 8080, 80, "tcp")]),
        ("127.0.0.1:8080:80", [("127.0.0.1", 8080, 80, "tcp")]),
        ("127.0.0.1::80", [("127.0.0.1", 0, 80, "tcp")]),
        ("[::1]:8080:80", [("::1", 8080, 80, "tcp")]),
        ("[::1]::80", [("::1", 0, 80, "tcp")]),
        ("8000-8001:80-81", [("", 8000, 80, "tcp"), ("", 8001, 81, "tcp")]),
        ("80/", [("", 0, 80, "tcp")]),
        ("80-81", [("", 0, 80, "tcp"), ("", 0, 81, "tcp")]),
    ],
)
def test_publish(value, ports):
    parsed = [(p.host_ip, p.host_port, p.container_port, p.protocol) for p in gn.publish(value)]
    assert parsed == ports


@pytest.mark.parametrize(
    "value",
    ["", ":", "x", "0", "65536", "-1", "80:", "80:0", "1:2:3", "1.2.3:80:80", "256.0.0.1:80:80",
     "::1:80:80", "[::1]80", "[::1]:80", "[x]:80:80", "[::1:80:80", "80/icmp", "80/tcp/udp",
     "81-80", "80-81:80", "8000:80-81", "٣:80", "80:80\n", " 80", "1:2:3:4"],
)  # fmt: skip
def test_publish_refuses(value):
    with pytest.raises(UsageError, match="--publish"):
        gn.publish(value)


def test_sctp_is_refused_by_name():
    with pytest.raises(Unsupported, match="sctp"):
        gn.publish("80/sctp")


def test_a_port_of_the_host_is_taken_once():
    with pytest.raises(UsageError, match="8080/tcp"):
        gn.all_ports(["8080:80", "8080:81"])
    assert len(gn.all_ports(["8080:80", "8080:80/udp", "127.0.0.1:8080:80", "80", "80"])) == 5


@settings(max_examples=50)
@given(
    st.sampled_from(["", "127.0.0.1", "0.0.0.0", "::1", "2001:db8::5"]),
    st.integers(1, 65535),
    st.integers(1, 65535),
    st.sampled_from(["tcp", "udp"]),
)
def test_publish_round_trip(ip, host, container, protocol):
    address = f"[{ip}]:" if ":" in ip else f"{ip}:" if ip else ""
    (port,) = gn.publish(f"{address}{host}:{container}/{protocol}")
    assert (port.host_ip, port.host_port, port.container_port, port.protocol) == (
        ip,
        host,
        container,
        protocol,
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("db:10.0.0.1", ("db", "10.0.0.1")),
        ("db=10.0.0.1", ("db", "10.0.0.1")),
        ("db:2001:db8::1", ("db", "2001:db8::1")),
        ("db:[2001:db8::1]", ("db", "2001:db8::1")),
        ("db=::1", ("db", "::1")),
        ("host.docker.internal:host-gateway", ("host.docker.internal", "host-gateway")),
    ],
)
def test_add_host(value, expected):
    assert gn.add_host(value) == expected


@pytest.mark.parametrize(
    "value",
    ["", "db", ":1.2.3.4", "db:", "db:1.2.3", "db:host", "db\n:1.2.3.4", "db:1.2.3.4\n5.6.7.8 x",
     "a b:1.2.3.4", "-x:1.2.3.4", "db:fe80::1%eth0", "db:1.2.3.4 "],
)  # fmt: skip
def test_add_host_refuses(value):
    with pytest.raises(UsageError, match="--add-host"):
        gn.add_host(value)


@pytest.mark.parametrize("value", ["1.1.1.1", "2606:4700::1111", "none"])
def test_dns_server(value):
    assert gn.dns_server(value) == value


@pytest.mark.parametrize(
    "value", ["", "dns.example", "1.1.1.1\noptions x", "1.1.1.1;", "+1.1.1.1", "1.1.1.1\0"]
)
def test_dns_server_refuses(value):
    with pytest.raises(UsageError, match="--dns"):
        gn.dns_server(value)


@pytest.mark.parametrize("value", [".", "example.com", "example.com.", "local"])
def test_dns_search(value):
    assert gn.dns_search(value) == value


@pytest.mark.parametrize("value", ["", "..", "a b", "-x", "x\nnameserver 6.6.6.6", "a/b", "a" * 64])
def test_dns_search_refuses(value):
    with pytest.raises(UsageError, match="--dns-search"):
        gn.dns_search(value)


@pytest.mark.parametrize("value", ["", "ndots:2\n", "a b", "x;y", "x#y"])
def test_dns_option_refuses(value):
    with pytest.raises(UsageError, match="--dns-option"):
        gn.dns_option(value)


def test_dns_option():
    assert gn.dns_option("ndots:2") == "ndots:2"


@pytest.mark.parametrize("value", ["92:d0:c6:0a:29:33", "92-D0-C6-0A-29-33"])
def test_mac_address(value):
    assert gn.mac_address(value) == "92:d0:c6:0a:29:33"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "92:d0:c6:0a:29",
        "93:d0:c6:0a:29:33",
        "00:00:00:00:00:00",
        "92:d0:c6:0a:29:3g",
        "ff:ff:ff:ff:ff:ff",
    ],
)
def test_mac_address_refuses(value):
    with pytest.raises(UsageError, match="--mac-address"):
        gn.mac_address(value)
