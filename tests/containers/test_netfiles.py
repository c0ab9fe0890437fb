import os

import pytest

from daemonless.containers.netfiles import NetworkFacts, hosts, resolv_conf, write_files
from daemonless.files import remove_flat_directory

HOST_RESOLV = """\
# made by somebody
search corp.example lan
nameserver 127.0.0.53
nameserver 192.0.2.53 ; trailing
nameserver ::1
options edns0 trust-ad
bogus
nameserver
"""
SLIRP = {"mode": "slirp4netns", "hostname": "box", "address": "10.0.2.100"}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (
            SLIRP,
            "search corp.example lan\nnameserver 10.0.2.3\nnameserver 192.0.2.53\noptions edns0 trust-ad\n",
        ),
        ({"mode": "none", "hostname": "box"}, ""),
        ({"mode": "none", "hostname": "box", "dns": ("9.9.9.9",)}, "nameserver 9.9.9.9\n"),
        (
            {**SLIRP, "dns": ("9.9.9.9", "8.8.8.8"), "dns_search": (".",), "dns_options": ("ndots:1",)},
            "nameserver 9.9.9.9\nnameserver 8.8.8.8\noptions ndots:1\n",
        ),
        (
            {**SLIRP, "dns_search": ("a.example",)},
            "search a.example\nnameserver 10.0.2.3\nnameserver 192.0.2.53\noptions edns0 trust-ad\n",
        ),
    ],
)
def test_resolv_conf(facts, expected):
    assert resolv_conf(NetworkFacts(**facts), HOST_RESOLV) == expected


def test_the_hosts_network_keeps_the_hosts_resolvers():
    text = resolv_conf(NetworkFacts(mode="host", hostname="box"), HOST_RESOLV)
    assert [line for line in text.splitlines() if "nameserver" in line] == [
        "nameserver 127.0.0.53",
        "nameserver 192.0.2.53",
        "nameserver ::1",
    ]


def test_hosts_name_the_container_and_what_was_added():
    facts = NetworkFacts(
        **SLIRP, names=("web",), add_hosts=(("db", "192.0.2.7"), ("up", "host-gateway")), host_loopback=True
    )
    lines = hosts(facts, "").splitlines()
    assert "192.0.2.7\tdb" in lines
    assert "10.0.2.2\tup" in lines
    assert "10.0.2.2\thost.containers.internal host.docker.internal" in lines
    assert "10.0.2.100\tbox web" in lines
    assert lines[2] == "127.0.0.1\tlocalhost"


def test_hosts_of_the_hosts_network_are_the_hosts():
    lines = hosts(
        NetworkFacts(mode="host", hostname="box"), "127.0.0.1 localhost\n\n192.0.2.9 nas\n"
    ).splitlines()
    assert "192.0.2.9 nas" in lines
    assert not [line for line in lines if line.endswith("box")]


def test_without_a_network_there_is_no_way_to_the_host():
    assert "host.containers.internal" not in hosts(NetworkFacts(mode="none", hostname="box"), "")


@pytest.mark.parametrize("mode", ["none", "host", "slirp4netns"])
def test_hosts_may_begin_with_a_file(tmp_path, mode):
    (tmp_path / "base").write_text("192.0.2.9 nas\n")
    found = {}
    for name in (str(tmp_path / "base"), "none"):
        directory = tmp_path / f"run{len(found)}"
        directory.mkdir()
        write_files(str(directory), NetworkFacts(mode=mode, hostname="box", hosts_file=name))
        found[name] = (directory / "hosts").read_text().splitlines()
        assert any(line.endswith("\tbox") for line in found[name])
        assert "127.0.0.1\tlocalhost" in found[name]
    assert [line for line in found[str(tmp_path / "base")] if line not in found["none"]] == ["192.0.2.9 nas"]


def test_files_are_written_and_removed(tmp_path):
    directory = tmp_path / "run"
    directory.mkdir()
    write_files(str(directory), NetworkFacts(**SLIRP))
    assert sorted(os.listdir(directory)) == [".containerenv", "hostname", "hosts", "resolv.conf"]
    assert (directory / "hostname").read_text() == "box\n"
    assert (directory / "hosts").stat().st_mode & 0o777 == 0o644
    remove_flat_directory(str(directory))
    assert not directory.exists()
    remove_flat_directory(str(directory))
