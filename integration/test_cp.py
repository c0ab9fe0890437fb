"""cp: docker's rules for what goes where, ownership, streams, and containers that swap links."""

from __future__ import annotations

import gzip
import io
import os
import stat
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest
from harness import Cli


@pytest.fixture(params=["running", "stopped"])
def box(request: pytest.FixtureRequest, cli: Cli, image: str) -> Cli:
    """A container "c" with files in /src, running or not."""
    script = """mkdir -p /src/dir/sub /dst; cd /src; echo file > file; echo inner > dir/sub/inner
    ln -s file link; ln -s dir dirlink; ln -s /src/file absolute; ln -s nowhere dangling; ln file hard
    mkfifo dir/fifo; chmod 4750 file; chown 7:8 dir; touch /ready; sleep 1000"""
    cli("run", "--detach", "--name=c", "--network=none", image, "sh", "-c", script)
    cli("exec", "c", "sh", "-c", "until [ -e /ready ]; do :; done")
    if request.param == "stopped":
        cli("stop", "--time=0", "c")
    return cli


def stream(cli: Cli, path: str) -> bytes:
    """Return a path of the container as a tar archive."""
    command = [cli.program, "cp", f"c:{path}", "-"]
    return subprocess.run(command, capture_output=True, env=cli.environment(), check=True, timeout=60).stdout


def content(cli: Cli, path: str) -> str:
    """Return what a file of the container holds, read with another copy."""
    with tarfile.open(fileobj=io.BytesIO(stream(cli, path))) as archive:
        file = archive.extractfile(archive.next())  # type: ignore[arg-type]
        assert file
        return file.read().decode()


def below(path: Path) -> list[str]:
    return sorted(str(each.relative_to(path)) for each in path.rglob("*"))


def test_out_of_a_container(box: Cli, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    box("cp", "c:/src/file", str(out / "new"))
    assert (out / "new").read_text() == "file\n"
    status = (out / "new").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (os.getuid(), 0o750)  # not setuid to us
    box("cp", "c:src/file", str(out))
    assert (out / "file").read_text() == "file\n"
    (out / "file").write_text("older")
    box("cp", "c:/src/file", str(out / "file"))
    assert (out / "file").read_text() == "file\n"
    box("cp", "c:/src/link", str(out))
    assert os.readlink(out / "link") == "file"
    box("cp", "-L", "c:/src/absolute", str(out / "followed"))
    assert (out / "followed").read_text() == "file\n" and not (out / "followed").is_symlink()
    assert below(out) == ["file", "followed", "link", "new"]


def test_directories_out(box: Cli, tmp_path: Path) -> None:
    out = tmp_path / "out"
    inside = ["fifo", "sub", "sub/inner"]
    box("cp", "c:/src/dir", str(out))  # does not exist: becomes it
    assert below(out) == inside
    box("cp", "c:/src/dir", str(out))  # exists: goes into it
    assert below(out / "dir") == inside
    box("cp", "c:/src/dir/.", str(out / "content"))
    assert below(out / "content") == inside
    box("cp", "c:/src/dirlink/", str(out / "content"))  # a slash follows the link, its name stays
    assert below(out / "content" / "dirlink") == inside
    (out / "plain").touch()
    assert "cannot copy a directory to the file" in box("cp", "c:/src/dir", f"{out}/plain", status=125).stderr
    box("cp", "c:/src", str(out / "all"))
    assert (out / "all" / "file").stat().st_ino == (out / "all" / "hard").stat().st_ino


def test_into_a_container(box: Cli, tmp_path: Path) -> None:
    source = tmp_path / "from"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "inner").write_text("inner of the host")
    (source / "file").write_text("of the host")
    box("cp", str(source / "file"), "c:/dst/new")
    assert content(box, "/dst/new") == "of the host"
    box("cp", str(source / "file"), "c:/dst")
    assert content(box, "/dst/file") == "of the host"
    box("cp", str(source / "file"), "c:/src/link")  # a link as the destination is followed
    assert content(box, "/src/file") == "of the host"
    box("cp", str(source), "c:/dst/tree")
    assert content(box, "/dst/tree/sub/inner") == "inner of the host"
    box("cp", str(source), "c:/dst/tree")
    assert content(box, "/dst/tree/from/file") == "of the host"
    box("cp", f"{source}/.", "c:/src/dirlink")
    assert content(box, "/src/dir/sub/inner") == "inner of the host"
    box("cp", "file", "c:/dst/relative", env={}, cwd=source)
    assert content(box, "/dst/relative") == "of the host"


def test_what_is_refused(box: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "dir").mkdir()
    for words, said in (
        (("c:/nothing", str(tmp_path)), "no such file or directory: c:/nothing"),
        (("c:/src/file/", str(tmp_path)), "c:/src/file/ is not a directory"),
        (("c:/src/file", f"{tmp_path}/no/"), "does not exist"),
        (("c:/src/file", f"{tmp_path}/no/such/place"), "would be in does not exist"),
        ((f"{tmp_path}/nothing", "c:/"), "no such file or directory"),
        ((f"{tmp_path}/file", "c:/no/"), "does not exist"),
        ((f"{tmp_path}/dir", "c:/src/file"), "cannot copy a directory to the file c:/src/file"),
        ((f"{tmp_path}/file", "c:/src/file/"), "c:/src/file/ is not a directory"),
        ((f"{tmp_path}/file", str(tmp_path)), "neither"),
        ((f"{tmp_path}/file", "nothing:/"), "no such container"),
        (("c:", "."), "a path is missing"),
    ):
        assert said in box("cp", *words, status=125).stderr, words
    (tmp_path / "dir" / "sub").write_text("a file where the container has a directory")
    box("cp", f"{tmp_path}/dir/.", "c:/dst")
    (tmp_path / "dir" / "sub").unlink()
    (tmp_path / "dir" / "sub").mkdir()
    refused = box("cp", f"{tmp_path}/dir/.", "c:/dst", status=125)
    assert "cannot overwrite non-directory sub with a directory" in refused.stderr
    box("cp", "--overwrite", f"{tmp_path}/dir/.", "c:/dst")
    (tmp_path / "dir" / "sub").rmdir()
    (tmp_path / "dir" / "sub").write_text("a file again")
    box("cp", "--overwrite", f"{tmp_path}/dir/.", "c:/dst")
    assert content(box, "/dst/sub") == "a file again"


def test_streams(box: Cli, tmp_path: Path) -> None:
    archive = stream(box, "/src/dir")
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        found = {member.name: member for member in members}
    assert sorted(found) == ["dir", "dir/fifo", "dir/sub", "dir/sub/inner"]
    assert (found["dir"].uid, found["dir"].gid) == (7, 8)
    box("cp", "/dev/stdin", "c:/dst", input=archive)
    assert content(box, "/dst/dir/sub/inner") == "inner\n"
    assert "is not a directory" in box("cp", "-", "c:/src/file", input=archive, status=125).stderr
    refused = box("cp", "-", "c:/dst", input=gzip.compress(archive)[:-20], status=125)
    assert "cannot extract standard input: the archive is not valid gzip" in refused.stderr


def test_owners(cli: Cli, image: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    (tmp_path / "x").chmod(0o640)
    cli("create", "--name=c", "--network=none", "--user=1000:50", image, "ls", "-ln", "/tmp", "/srv")
    cli("cp", str(tmp_path), "c:/srv")
    cli("cp", str(tmp_path / "x"), "c:/tmp/default")
    cli("cp", "--archive=false", str(tmp_path / "x"), "c:/tmp/kept")
    assert cli("ps", "-a", "--format={{.Status}}").stdout == "Created\n"  # copying is no run
    shown = cli("start", "--attach", "c").lines
    lines = {line.split()[-1]: line.split() for line in shown if ":" in line[40:]}
    assert lines["default"][2:4] == ["1000", "50"] and lines["x"][2:4] == ["1000", "50"]
    assert lines["kept"][2:4] == ["0", "0"]  # who ran the command is root inside
    assert lines["default"][0] == "-rw-r-----"


def test_volumes_and_read_only(cli: Cli, image: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    volume = tmp_path / "volume"
    volume.mkdir()
    cli("create", "--name=c", "--network=none", "--read-only", "-v", f"{volume}:/data", image, "true")
    cli("cp", str(tmp_path / "x"), "c:/data/x")
    assert (volume / "x").read_text() == "x"
    cli("cp", "c:/data/x", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "x"
    assert "read-only" in cli("cp", str(tmp_path / "x"), "c:/etc/x", status=125).stderr


def test_between_containers(box: Cli, image: str) -> None:
    box("create", "--name=other", "--network=none", image, "cat", "/copy/sub/inner")
    box("cp", "c:/src/dir", "other:/copy")
    assert box("start", "--attach", "other").stdout == "inner\n"


def test_mounted_files_are_written_and_the_kernels_left_alone(cli: Cli, image: str, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("1.2.3.4 name\n")
    cli("run", "--detach", "--name=c", "--network=none", image, "sleep", "1000")
    cli("cp", str(tmp_path / "hosts"), "c:/etc/hosts")
    assert cli("exec", "c", "cat", "/etc/hosts").stdout == "1.2.3.4 name\n"
    cli("cp", "--quiet", "c:/", str(tmp_path / "all"))
    assert os.listdir(tmp_path / "all" / "proc") == [] and (tmp_path / "all" / "bin" / "busybox").exists()
    cli("cp", "c:/proc/sys/kernel/ostype", str(tmp_path / "ostype"))


def test_swapping_links(cli: Cli, image: str, tmp_path: Path) -> None:
    """U-30 and CVE-2019-14271's kind: whichever way we copy, nothing of the host is read or written."""
    canary = tmp_path / "host"
    canary.mkdir()
    (canary / "f").write_text("of the host")
    swap = f"mv /a /t; ln -s {canary} /a; rm /a; mv /t /a"
    script = f"mkdir /a; echo inside >/a/f; while :; do {swap}; done"
    cli("run", "--detach", "--name=c", "--network=none", image, "sh", "-c", script)
    (tmp_path / "f").write_text("written by cp")
    for number in range(15):
        out = tmp_path / f"out{number}"
        cli("cp", "-L", "c:/a/f", str(out), status=None)
        assert not out.exists() or out.read_text() in ("inside\n", "written by cp")
        cli("cp", str(tmp_path / "f"), "c:/a/f", status=None)
        assert (canary / "f").read_text() == "of the host"


def test_a_container_cannot_lead_out_of_the_destination(cli: Cli, image: str, tmp_path: Path) -> None:
    """An archive with a link and something behind it: the link is made, and not followed."""
    out = tmp_path / "out"
    (out / "dir").mkdir(parents=True)
    (out / "dir" / "way").symlink_to(tmp_path)
    cli("run", "--name=c", "--network=none", image, "sh", "-c", "mkdir -p /dir/way; echo x >/dir/way/f")
    refused = cli("cp", "c:/dir", str(out), status=125)
    assert "cannot overwrite non-directory dir/way" in refused.stderr
    assert not (tmp_path / "f").exists()


def test_a_full_destination(cli: Cli, image: str, tmp_path: Path) -> None:
    cli("run", "--name=c", "--network=none", image, "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=8")
    failed = cli.shell(f"ulimit -f 4096; trap '' XFSZ; daemonless cp c:/big {tmp_path}/big", status=125)
    assert f"cannot write to {tmp_path}/big: File too large" in failed.stderr


def test_a_pipe_as_the_source_does_not_block(cli: Cli, image: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    cli("create", "--name=c", "--network=none", image, "true")
    watch = threading.Timer(20, lambda: os.close(os.open(tmp_path / "fifo", os.O_RDWR)))
    watch.start()
    cli("cp", str(tmp_path / "fifo"), "c:/tmp/fifo")
    watch.cancel()


def test_cve_2018_15664_cve_2026_41568_trees_while_links_are_swapped(
    cli: Cli, image: str, tmp_path: Path
) -> None:
    """A directory inside the copied tree is a link to the host half of the time: it stays a link."""
    canary = tmp_path / "host"
    canary.mkdir()
    (canary / "f").write_text("of the host")
    swap = f"mv /a/d /t; ln -s {canary} /a/d; rm /a/d; mv /t /a/d"
    script = f"mkdir -p /a/d; echo inside >/a/d/f; while :; do {swap}; done"
    cli("run", "--detach", "--name=c", "--network=none", image, "sh", "-c", script)
    (tmp_path / "in" / "d").mkdir(parents=True)
    (tmp_path / "in" / "d" / "f").write_text("written by cp")
    for number in range(10):
        out = tmp_path / f"out{number}"
        cli("cp", "--quiet", "c:/a", str(out), status=None)
        if (out / "d").is_symlink():
            assert os.readlink(out / "d") == str(canary)
        elif (out / "d" / "f").exists():
            assert (out / "d" / "f").read_text() in ("inside\n", "written by cp")
        cli("cp", "--quiet", f"{tmp_path}/in/.", "c:/a", status=None)
        assert below(canary) == ["f"] and (canary / "f").read_text() == "of the host"


def test_cve_2019_14271_nothing_of_the_container_is_loaded(box: Cli, tmp_path: Path) -> None:
    """Modules and name service files in the container's root are data to cp, in both directions."""
    for name in ("encodings", "os", "pwd", "codecs"):
        trap = tmp_path / f"{name}.py"
        trap.write_text("open('/trapped', 'w').close()\n")
        box("cp", str(trap), f"c:/{name}.py")
    (tmp_path / "nsswitch.conf").write_text("passwd: trap\n")
    box("cp", str(tmp_path / "nsswitch.conf"), "c:/etc/nsswitch.conf")
    box("cp", "c:/src", str(tmp_path / "out"))
    box("cp", str(tmp_path / "out"), "c:/dst/back")
    assert "no such file" in box("cp", "c:/trapped", str(tmp_path), status=125).stderr
    assert not os.path.exists("/trapped")
