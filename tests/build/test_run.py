"""RUN without mounts: what the command sees, what it leaves, and how it ends."""

from __future__ import annotations

import os
import signal
import time

import pytest
from runs import OFFLINE, Builder, as_root, finish, in_background

from daemonless.build.runjob import Layers
from daemonless.build.running import run
from daemonless.containers.request import Device, Network
from daemonless.dockerfile.steps import RunMount
from daemonless.errors import CommandNotExecutable, CommandNotFound, SetupFailed, Unsupported, UsageError
from daemonless.isolation import cgroups
from daemonless.isolation.userns import IdMap

CACHE = RunMount(type="cache", target="/c", id="of a test")


def test_what_the_command_changes_is_in_upper_and_nothing_else(build: Builder) -> None:
    ran = build("mkdir /a && echo x > /a/f && rm /bin/ls && ln -s f /a/l")
    assert (ran.status, ran.out, ran.err) == (0, "", "")
    changes = ran.changes
    assert changes.pop("bin/ls").startswith("c---------")  # overlayfs's whiteout
    assert changes == {
        "a": "drwxr-xr-x 0:0",
        "a/f": "-rw-r--r-- 0:0 x\n",
        "a/l": "lrwxrwxrwx 0:0 f",
        "bin": "drwxr-xr-x 0:0",
    }


def test_the_next_step_sees_it(build: Builder) -> None:
    first = build("echo one > /f; mkdir /d; echo x > /d/x")
    second = build("cat /f; rm -r /d; mkdir /d; echo two > /f", on=[first])
    third = build("cat /f; ls /d; ls -ld /", on=[second, first])
    assert (second.out, third.out.splitlines()[0]) == ("one\n", "two")
    assert len(third.out.splitlines()) == 2  # /d is empty: the second layer's is opaque
    assert "drwxr-xr-x" in third.out


@pytest.mark.parametrize(("script", "status"), [("exit 3", 3), ("sh -c 'kill -9 $$'; exit $?", 137)])
def test_the_exit_status(build: Builder, script: str, status: int) -> None:
    assert build(script).status == status


def test_a_missing_command_is_an_error_with_its_status(build: Builder) -> None:
    with pytest.raises(CommandNotFound, match="command not found in the image: nope") as missing:
        build(args=("nope",))
    assert missing.value.exit_status == 127
    with pytest.raises(CommandNotExecutable) as directory:
        build(args=("/bin",))
    assert directory.value.exit_status == 126


def test_environment_user_and_directory(build: Builder) -> None:
    ran = build(
        "env | sort; id -u; id -g; pwd",
        env=("PATH=/bin:/usr/bin", "A=b c"),
        proxies=("http_proxy=http://p", "A=proxy"),
        config={"config": {"User": "daemon", "WorkingDir": "/made/here", "Env": ["NOT=this"], "Cmd": ["no"]}},
    )
    assert ran.out.splitlines() == [
        "A=b c",
        "HOME=/usr/sbin",
        "HOSTNAME=buildkitsandbox",
        "PATH=/bin:/usr/bin",
        "PWD=/made/here",
        "SHLVL=1",
        "container=daemonless",
        "http_proxy=http://p",
        "1",
        "1",
        "/made/here",
    ]
    assert set(ran.changes) == {"made", "made/here"}


def test_it_has_no_input_and_is_not_the_builders_session(build: Builder) -> None:
    ran = build("cat; readlink /proc/self/fd/0; ls /proc/self/fd; echo $$; echo e >&2")
    assert ran.out.split() == ["/dev/null", "0", "1", "2", "3", "1"]  # 3 is that of ls
    assert ran.err == "e\n"


def test_any_user_may_open_the_outputs(build: Builder) -> None:
    job = build.job("echo out > /dev/stdout; echo err > /dev/stderr", config={"config": {"User": "nobody"}})
    assert finish(in_background(job)) == (0, "out\nerr\n")


def test_network_files(build: Builder) -> None:
    request = OFFLINE.replace(add_host=(("there", "192.0.2.7"),), dns=("192.0.2.53",))
    ran = build("cat /etc/hosts /etc/resolv.conf; echo x >> /etc/hosts; cat /proc/net/dev", request=request)
    assert "192.0.2.7\tthere" in ran.out
    assert "nameserver 192.0.2.53" in ran.out
    assert "lo:" in ran.out
    assert ran.changes == {}


def test_networks(build: Builder) -> None:
    devices = "sed 1,2d /proc/net/dev | cut -d: -f1 | sort | xargs"
    slirp = OFFLINE.replace(network=Network())
    assert build(f"{devices}; ip -4 addr show tap0 | grep -c 10.0.2.100", request=slirp).out == "lo tap0\n1\n"
    assert build(devices, request=slirp, network="none").out == "lo\n"
    host = build("readlink /proc/self/ns/net", request=slirp, network="host").out.strip()
    assert host == os.readlink("/proc/self/ns/net")


def test_etc_hostname_is_the_images_own(build: Builder) -> None:
    ran = build("echo mine > /etc/hostname")
    assert ran.changes == {"etc": "drwxr-xr-x 0:0", "etc/hostname": "-rw-r--r-- 0:0 mine\n"}


def test_confined_as_run_is(build: Builder) -> None:
    ran = build("grep -E '^(Seccomp|CapBnd|NoNewPrivs):' /proc/self/status; unshare -m true; ls /proc/kcore")
    status = dict(line.split() for line in ran.out.splitlines() if ":" in line)
    assert status["Seccomp:"] == "2"
    assert int(status["CapBnd:"], 16) & 1 << 21 == 0  # CAP_SYS_ADMIN
    assert "unshare" in ran.err


def links_and_private(top: str) -> None:
    os.makedirs(f"{top}/var/x/secret", 0o755)
    os.makedirs(f"{top}/var/run2", 0o755)
    os.mkdir(f"{top}/etc", 0o755)
    os.chmod(f"{top}/var/x/secret", 0o700)
    os.chown(f"{top}/var/x/secret", 7, 7)
    os.symlink("../var/x/secret/deep/resolv", f"{top}/etc/resolv.conf")
    os.symlink("/var/run2", f"{top}/run")


def test_security_insecure_has_to_be_allowed(build: Builder) -> None:
    with pytest.raises(UsageError, match="RUN --security=insecure is not allowed") as refused:
        build(security="insecure")
    assert "--allow security.insecure" in refused.value.hint
    script = "grep -E '^(Seccomp|CapEff):' /proc/self/status; mount -t tmpfs x /mnt && echo mounted"
    ran = build(f"mkdir /mnt; {script}", security="insecure", entitlements=("security.insecure",))
    status = dict(line.split() for line in ran.out.splitlines() if ":" in line)
    assert status["Seccomp:"] == "0"
    assert int(status["CapEff:"], 16) & 1 << 21  # CAP_SYS_ADMIN
    assert "mounted" in ran.out
    assert set(ran.changes) == {"mnt"}


def test_capabilities_limits_and_devices(build: Builder) -> None:
    request = OFFLINE.replace(
        cap_add=("CAP_SYS_ADMIN",),
        cap_drop=("CAP_CHOWN",),
        ulimits=(("nofile", 99, 100),),
        shm_size=1 << 20,
        devices=(Device(source="/dev/null", destination="/dev/nothing", writable=True),),
    )
    script = (
        "ulimit -Sn; ulimit -Hn; df -k /dev/shm | tail -1; echo x > /dev/nothing; chown 1 /;"
        " grep CapEff /proc/self/status"
    )
    ran = build(script, request=request)
    soft, hard, shm, capabilities = ran.out.splitlines()
    assert (soft, hard, shm.split()[1]) == ("99", "100", "1024")
    assert int(capabilities.split()[1], 16) & (1 << 21 | 1) == 1 << 21
    assert "chown: /: Operation not permitted" in ran.err
    assert ran.changes == {}


def test_limits_without_a_cgroup_are_an_error(build: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "own_directory", lambda: None)
    with pytest.raises(Unsupported, match="cannot limit memory: no cgroup"):
        build(memory=1 << 30)


def test_what_limits_come_to(build: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def create_limited(limits: dict[str, str]) -> str:
        asked.append(limits)
        return "/nonexistent"

    monkeypatch.setattr(cgroups, "create_limited", create_limited)
    for settings in ({"memory": 100}, {"memory": 100, "memory_swap": 150}, {"memory_swap": -1, "cpus": 1.5}):
        with pytest.raises(SetupFailed, match="it would have no limits"):
            build(**settings)
    assert asked == [
        {"memory.max": "100", "memory.swap.max": "100"},
        {"memory.max": "100", "memory.swap.max": "50"},
        {"cpu.max": "150000 100000"},
    ]


def test_mount_points_that_a_link_leads_to_are_removed(build: Builder) -> None:
    image = build.layer(links_and_private)
    request = OFFLINE.replace(dns=("192.0.2.1",))
    ran = build("cat /etc/resolv.conf; ls -a /run/", on=[image], request=request)
    assert "192.0.2.1" in ran.out
    assert ".containerenv" in ran.out
    assert ran.changes == {}
    ran = build("echo > /var/x/secret/kept", on=[image], request=request)
    assert set(ran.changes) == {"var", "var/x", "var/x/secret", "var/x/secret/kept"}
    assert ran.changes["var/x/secret"] == "drwx------ 7:7"
    ran = build("touch -d @1000 /etc; chmod 711 /var/run2; echo > /var/x/f", on=[image], request=request)
    assert set(ran.changes) == {"etc", "var", "var/run2", "var/x", "var/x/f"}
    assert os.stat(f"{ran.upper}/etc").st_mtime == 1000


def opaque(top: str) -> None:
    os.mkdir(f"{top}/etc", 0o750)
    os.setxattr(f"{top}/etc", "user.overlay.opaque", b"y")
    os.mknod(f"{top}/proc", 0o20000, os.makedev(0, 0))  # a whiteout
    os.mknod(f"{top}/run", 0o20000, os.makedev(0, 0))


def test_mount_points_below_what_an_image_hides_are_removed(build: Builder) -> None:
    image = build.layer(opaque)
    assert build("ls /proc/1/status /etc/hosts /run/.containerenv", on=[image]).out.count("\n") == 3
    assert build("ls /etc", on=[image]).changes == {}
    assert build("echo > /etc/f", on=[image]).changes == {
        "etc": "drwxr-x--- 0:0",
        "etc/f": "-rw-r--r-- 0:0 \n",
    }


def test_scratch_has_no_command(build: Builder) -> None:
    with pytest.raises(CommandNotFound):
        build(layers=Layers(lowers=()))


def test_a_volatile_overlay_is_as_good_as_another(build: Builder) -> None:
    first = build("echo x > /f")
    assert as_root(lambda: os.path.isdir(f"{first.directory}/work/work/incompat/volatile"))
    second = build("cat /f; echo y >> /f", on=[first])
    assert second.out == "x\n"
    assert build("cat /f", on=[second, first]).out == "x\ny\n"


def test_an_unknown_user_is_an_error(build: Builder) -> None:
    with pytest.raises(SetupFailed, match="unable to find user nobody2"):
        build(config={"config": {"User": "nobody2"}})


def test_a_user_with_a_single_id(build: Builder) -> None:
    uid, gid = os.getuid(), os.getgid()
    single = IdMap(uids=((0, uid, 1),), gids=((0, gid, 1),), key="single")
    job = build.job("id -u; touch /f /c/f; chown 1 /f", id_map=single, mounts=(CACHE,))
    status, text = finish(in_background(job))
    assert status == 1
    assert text.splitlines()[0] == "0"
    assert "chown: /f: Invalid argument" in text
    job = build.job("ls /c", id_map=single, mounts=(CACHE,))
    assert finish(in_background(job)) == (0, "f\n")
    with pytest.raises(SetupFailed, match="a file cannot be given to 1:0: the id is not mapped"):
        build("true", id_map=single, mounts=(CACHE.replace(id="other", uid=1),))


def test_it_dies_with_its_step(build: Builder) -> None:
    job = build.job("echo started >&2; sleep 1000")
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            run(job.replace(stdout=write_end, stderr=write_end))
        finally:
            os._exit(1)
    os.close(write_end)
    assert os.read(read_end, 100) == b"started\n"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    begin = time.monotonic()
    assert os.read(read_end, 100) == b""  # nobody holds the other end any more
    assert time.monotonic() - begin < 5
    os.close(read_end)
