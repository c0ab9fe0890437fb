"""Containers whose ids leave out their user's own: --userns=nomap and auto, --subuidname."""

from __future__ import annotations

import json
import os
import pwd
import re
from pathlib import Path

import pytest
from harness import Cli, eventually

RUN = ("run", "--rm", "--network=none")
USER = pwd.getpwuid(os.getuid()).pw_name
NOMAP = (*RUN, "--userns=nomap")
UID_MAP = ("cat", "/proc/self/uid_map")


def ranges(cli: Cli, *words: str) -> list[list[int]]:
    return [[int(number) for number in line.split()] for line in cli(*words).lines]


@pytest.mark.parametrize(
    "option", ["--userns=nomap", "--subuidname={user}", "--subgidname={user}", "--uidmap=0:1:1000"]
)
def test_the_caller_is_not_inside(cli: Cli, image, option: str) -> None:
    option = option.format(user=USER)
    [[inside, outside, length]] = ranges(cli, *RUN, option, image, *UID_MAP)
    assert inside == 0 and outside != os.getuid() and length == (1000 if "map=" in option else 65536)
    script = "id -u; touch /x; stat -c %u /x /bin/busybox /proc/1 /etc/hosts; echo written >/dev/stdout"
    lines = cli(*RUN, option, image, "sh", "-c", script).lines
    assert lines == ["0", "0", "0", "0", "65534", "written"]


def test_a_root_that_is_read_only(cli: Cli, image) -> None:
    script = "touch /tmp/a; stat -c %u /tmp/a; touch /b"
    done = cli(*NOMAP, "--read-only", image, "sh", "-c", script, status=1)
    assert done.lines == ["0"] and "Read-only" in done.stderr


def test_the_default_of_the_environment(cli: Cli, image, tmp_path: Path) -> None:
    keep = {"PODMAN_USERNS": "keep-id"}
    assert cli(*RUN, image, "id", "-u", env=keep).lines == [str(os.getuid())]
    assert cli(*RUN, "--userns=host", image, "id", "-u", env=keep).lines == ["0"]
    assert "PODMAN_USERNS" in cli(*RUN, image, "true", env={"PODMAN_USERNS": "x"}, status=125).stderr
    (tmp_path / "Dockerfile").write_text(f"FROM {image}\nRUN id -u >/id\n")
    cli("build", "-q", "-t", "built", str(tmp_path), env=keep)  # of containers, not of builds
    assert cli(*RUN, "built", "cat", "/id").lines == ["0"]
    cli("rmi", "built")
    cli("image", "prune", "--force")


def test_files_of_the_host(cli: Cli, image, tmp_path: Path) -> None:
    """Neither may its root read what is private, nor write what is its user's."""
    (tmp_path / "private").write_text("private")
    (tmp_path / "private").chmod(0o600)
    (tmp_path / "open").write_text("open")
    (tmp_path / "open").chmod(0o644)
    tmp_path.chmod(0o755)
    bind = ("-v", f"{tmp_path}:/host", image)
    assert cli(*NOMAP, *bind, "cat", "/host/open").stdout == "open"
    cli(*NOMAP, *bind, "cat", "/host/private", status=1)
    cli(*NOMAP, *bind, "touch", "/host/new", status=1)
    cli(*NOMAP, "-v", f"{tmp_path}:/host:U", image, "sh", "-c", "cat /host/private; touch /host/new")
    assert os.stat(tmp_path / "new").st_uid != os.getuid()
    cli(*RUN, "-v", f"{tmp_path}:/host:U", image, "rm", "/host/new")  # back again
    assert os.stat(tmp_path / "open").st_uid == os.getuid()


def test_volumes_and_secrets(cli: Cli, image) -> None:
    cli("volume", "create", "v")
    script = "stat -c %u /etc/v; touch /etc/v/a; ls /etc/v"
    assert cli(*NOMAP, "-v", "v:/etc/v", image, "sh", "-c", script).lines == ["0", "a"]
    assert "passwd" in cli(*NOMAP, "-v", "filled:/etc", image, "ls", "/etc").lines  # from the image
    cli(*NOMAP, "--user=7", "-v", "owned:/own", image, "touch", "/own/mine")
    assert cli(*RUN, "-v", "v:/v", image, "stat", "-c", "%u", "/v/a").lines == [
        "1"
    ]  # the first subordinate id
    cli(*NOMAP, "--mount", "type=volume,source=v,target=/v,subpath=.", image, "test", "-e", "/v/a")
    cli(*NOMAP, "--mount", "type=volume,source=v,target=/v,subpath=../..", image, "true", status=125)
    cli("secret", "create", "s", "-", input="word")
    show = ("sh", "-c", "stat -c '%u %a' /run/secrets/s; cat /run/secrets/s")
    assert cli(*NOMAP, "--user=5", "--secret=s,uid=5,mode=0400", image, *show).lines == ["5 400", "word"]
    cli("run", "-d", "--network=none", "--name=k", "--userns=nomap", "--secret=s", image, "sleep", "1000")
    cli("restart", "-t0", "k")
    assert cli("exec", "k", "cat", "/run/secrets/s").stdout == "word"
    cli("rm", "-f", "-t0", "k")
    cli("secret", "rm", "s")
    cli("volume", "rm", "v", "filled", "owned")


def test_its_whole_life(cli: Cli, image, tmp_path: Path) -> None:
    script = "echo made >/made; chown 7 /made; sleep 1000"
    cli("run", "-d", "--userns=nomap", "--name=n", image, "sh", "-c", script)
    eventually(lambda: cli("exec", "n", "stat", "-c", "%u", "/made", status=None).lines == ["7"])
    assert "tap0" in cli("exec", "n", "ip", "address").stdout
    (tmp_path / "new").write_text("new")
    for name in ("new", "new-when-stopped"):
        cli("cp", str(tmp_path / "new"), f"n:/{name}")
        assert cli("cp", "n:/made", str(tmp_path / f"made-{name}")).stdout == ""
        assert (tmp_path / f"made-{name}").read_text() == "made\n"
        cli("stop", "-t0", "n")
    assert set(cli("diff", "n").lines) >= {"A /made", "A /new", "A /new-when-stopped"}
    cli("commit", "-q", "n", "committed")
    assert cli(*RUN, "committed", "stat", "-c", "%u", "/made", "/new").lines == ["7", "0"]
    assert cli(*NOMAP, "committed", "stat", "-c", "%u", "/made", "/new").lines == ["7", "0"]
    cli("start", "n")
    assert cli("exec", "n", "cat", "/new", "/new-when-stopped").stdout == "newnew"
    assert [line.split()[0] for line in cli("top", "n", "user").lines[1:]] == ["root"]
    cli("pause", "n")
    cli("unpause", "n")
    cli("export", "-o", str(tmp_path / "n.tar"), "n")
    assert b"new-when-stopped" in (tmp_path / "n.tar").read_bytes()
    shown = json.loads(cli.inspect("n", "{{json .HostConfig}}"))
    assert shown["UsernsMode"] == "nomap" and re.match(r"0:\d+:65536", shown["IDMappings"]["UidMap"][0])
    cli("rm", "-f", "-t0", "n")
    cli("rmi", "committed")
    cli("run", "-d", "--rm", "--network=none", "--userns=nomap", "--name=r", image, "sleep", "1000")
    cli("restart", "-t0", "r")
    assert cli("exec", "r", "id", "-u").lines == ["0"]
    cli("rm", "-f", "-t0", "r")


def test_ids_of_its_own(cli: Cli, image) -> None:
    for name, size in (("a1", ""), ("a2", ":size=2000"), ("a3", "")):
        cli("run", "-d", "--network=none", f"--userns=auto{size}", f"--name={name}", image, "sleep", "1000")
    [[_, first, count]] = ranges(cli, "exec", "a1", *UID_MAP)
    assert count == 1024
    cli("exec", "a1", "sh", "-c", "touch /made; chown 7 /made; touch /root-made")
    cli("commit", "-q", "a1", "committed")
    shown = ("committed", "stat", "-c", "%u", "/made", "/root-made", "/bin/busybox")
    for userns in ("host", "auto"):
        assert cli(*RUN, f"--userns={userns}", *shown).lines == ["7", "0", "0"]
    cli("rmi", "committed")
    assert ranges(cli, "exec", "a2", *UID_MAP) == [[0, first + 1024, 2000]]
    assert ranges(cli, "exec", "a3", *UID_MAP) == [[0, first + 3024, 1024]]
    cli("rm", "-f", "-t0", "a1")
    auto = (*RUN, "--userns=auto:size=900", image, *UID_MAP)
    assert ranges(cli, *auto) == [[0, first, 900]]  # where there is room
    assert ranges(cli, *RUN, "--userns=auto", image, *UID_MAP) == [[0, first, 1024]]
    assert ranges(cli, *RUN, "--userns=auto:size=1025", image, *UID_MAP) == [[0, first + 4048, 1025]]
    assert ranges(cli, *RUN, "--ipc=container:a2", image, *UID_MAP) == [[0, first + 1024, 2000]]
    done = cli(*RUN, "--userns=auto:size=65000", image, "true", status=125)
    assert "there are not 65000 ids left" in done.stderr and len(done.stderr.splitlines()) == 2
    cli("rm", "-f", "-t0", "a2", "a3")


def test_no_two_get_the_same_ids(cli: Cli, image) -> None:
    started = [
        cli.start("create", "--network=none", "--userns=auto", f"--name=p{number}", image, "true")
        for number in range(8)
    ]
    assert [process.wait(60) for process in started] == [0] * 8
    seen = [cli.inspect(f"p{number}", "{{(index .HostConfig.IDMappings.UidMap 0)}}") for number in range(8)]
    assert len(set(seen)) == 8
    cli("rm", *(f"p{number}" for number in range(8)))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--userns=auto:foo=1",), "auto has no option foo"),
        (("--userns=auto:size=1",), "size"),
        (("--uidmap=0:1:1",), "maps one id, and not your own"),
        (("--userns=auto:uidmapping=0:0:5",), "auto has one option here, size"),
        (("--userns=nomap:size=1",), "none of host"),
        (("--subuidname=root",), "the ids of root in /etc/subuid are not yours"),
        (("--subuidname={user}", "--userns=host"), "exclude each other"),
        (("--subuidname={user}", "--uidmap=0:0:1"), "exclude each other"),
    ],
)
def test_what_is_refused(cli: Cli, image, options, reason: str) -> None:
    given = [option.format(user=USER) for option in options]
    done = cli(*RUN, *given, image, "true", status=125)
    assert reason in done.stderr and len(done.stderr.splitlines()) <= 2
