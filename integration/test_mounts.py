"""Volumes, tmpfs, read-only roots, devices: what is mounted where, and that nothing is mounted elsewhere."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from harness import Cli

NONE = ("run", "--rm", "--network=none")

# options, with DIR for a host directory that holds a file "given"; command; status; output
TABLE = [
    ("-v DIR:/data", "cat /data/given", 0, "of the host\n"),
    ("-v DIR:/data", "sh -c 'echo new >/data/made; cat /data/made'", 0, "new\n"),
    ("-v DIR:/data:ro", "touch /data/made", 1, ""),
    ("-v DIR:/data:ro", "cat /data/given", 0, "of the host\n"),
    ("-v DIR:/data:rw,z", "touch /data/made", 0, ""),
    ("-v DIR/given:/etc/given", "cat /etc/given", 0, "of the host\n"),
    ("-v DIR:/deep/er/still", "cat /deep/er/still/given", 0, "of the host\n"),
    ("--volume=DIR:/data:noexec", "sh -c 'cp /bin/busybox /data/run; /data/run true'", 126, ""),
    ("--mount type=bind,source=DIR,target=/data", "cat /data/given", 0, "of the host\n"),
    ("--mount type=bind,src=DIR,dst=/data,ro", "touch /data/made", 1, ""),
    ("--mount type=bind,src=DIR,destination=/data,readonly=true", "touch /data/made", 1, ""),
    ("--mount type=tmpfs,destination=/data", "touch /data/x", 0, ""),
    ("--mount type=tmpfs,dst=/data,tmpfs-mode=0700", "stat -c %a /data", 0, "700\n"),
    ("--read-only -v DIR:/data", "touch /data/made", 0, ""),
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "given").write_text("of the host\n")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "command", "status", "out"), TABLE, ids=[f"{r[0]} {r[1]}" for r in TABLE]
)
def test_mounts(
    cli: Cli, image: str, directory: Path, options: str, command: str, status: int, out: str
) -> None:
    given = [word.replace("DIR", str(directory)) for word in options.split()]
    result = cli(*NONE, *given, image, "sh", "-c", command, status=None)
    assert (result.status, result.stdout) == (status, out), str(result)


def test_a_relative_source_begins_with_a_dot(cli: Cli, image: str, directory: Path) -> None:
    result = cli(*NONE, "-v", "./given:/data", image, "cat", "/data", cwd=directory)
    assert result.stdout == "of the host\n"


def test_files_made_by_root_inside_are_the_users(cli: Cli, image: str, directory: Path) -> None:
    cli(*NONE, "-v", f"{directory}:/data", image, "touch", "/data/made")
    assert (directory / "made").stat().st_uid == os.getuid()


def test_the_mount_point_is_resolved_inside(cli: Cli, image: str, tmp_path: Path) -> None:
    """Links in the image or in a volume never lead a mount to the host (CVE-2021-30465, CVE-2024-45310)."""
    canary = tmp_path / "canary"
    canary.mkdir()
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "out").symlink_to(canary)
    (volume / "up").symlink_to("../../../../../../../.." + str(canary))
    for name in ("out", "up"):
        options = ("-v", f"{volume}:/v", "--tmpfs", f"/v/{name}/below")
        cli(*NONE, *options, image, "true", status=None)
    assert list(canary.iterdir()) == []


def test_nothing_is_mounted_on_the_host(cli: Cli, image: str, directory: Path) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    cli("run", "-d", "--network=none", "--name", "target", "-v", f"{directory}:/data", image, "sleep", "1000")
    assert Path("/proc/self/mountinfo").read_text() == before


def test_the_default_mounts(cli: Cli, image: str) -> None:
    """Types and options of podman's default mounts (read of /proc/self/mounts)."""
    shown = cli(*NONE, image, "cat", "/proc/self/mounts").stdout
    mounts = {
        line.split()[1]: (line.split()[2], set(line.split()[3].split(","))) for line in shown.splitlines()
    }
    expected = {
        "/": ("overlay", {"rw"}),
        "/proc": ("proc", {"rw", "nosuid", "nodev", "noexec"}),
        "/dev": ("tmpfs", {"rw", "nosuid"}),
        "/dev/pts": ("devpts", {"rw", "nosuid", "noexec"}),
        "/dev/shm": ("tmpfs", {"rw", "nosuid", "nodev", "noexec"}),
        "/dev/mqueue": ("mqueue", {"rw", "nosuid", "nodev", "noexec"}),
        "/sys": ("sysfs", {"ro", "nosuid", "nodev", "noexec"}),
    }
    for target, (kind, options) in expected.items():
        assert mounts[target][0] == kind and options <= mounts[target][1], (target, mounts[target])


def test_a_host_directory_that_is_missing_is_named(cli: Cli, image: str) -> None:
    result = cli(*NONE, "-v", "/not/here:/data", image, "true", status=125)
    assert re.match(r"Error: .*/not/here.*\nHint: .*mkdir", result.stderr), str(result)
