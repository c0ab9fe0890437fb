"""export: a container's files as a tar archive."""

from __future__ import annotations

import hashlib
import io
import os
import select
import signal
import subprocess
import tarfile
from pathlib import Path

from harness import Cli, Terminal, eventually

# Whatever a tree can hold: links, owners, modes, sparse files, odd names, FIFOs, times.
SCRIPT = r"""
mkdir -p /data/dir; cd /data
echo one > one; ln one two; ln -s /etc/passwd absolute; ln -s ../../.. up; mkfifo fifo
echo x > owned; chown 1000:2000 owned; chmod 4711 owned; chown -h 5:6 up
mkdir -m 1777 sticky; mkdir -m 0 closed; chown 9:9 closed
dd if=/dev/zero of=sparse bs=1 count=1 seek=1048575 2>/dev/null
echo x > 'a b'; echo x > "$(printf 'caf\351')"; echo x > "$(printf 'new\nline')"
n=$(printf '%0200d' 0); mkdir $n; echo deep > $n/$n
touch -d '2001-02-03 04:05:06' one
rm /bin/sed; rm -rf /home; mkdir /home; touch /home/new
"""


def export(cli: Cli, *args: str) -> bytes:
    done = subprocess.run(
        [cli.program, "export", *args], capture_output=True, env=cli.environment(), timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def listed(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as archive:
        return {member.name: member for member in archive}


def test_the_archive_is_what_the_container_saw(cli: Cli, image: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the volume")
    script = f"{SCRIPT}\ntouch /ready; sleep 100"
    volume = f"{tmp_path}:/mnt/volume"
    cli("run", "--detach", "--name=c", "--network=none", "--volume", volume, image, "sh", "-c", script)
    cli("exec", "c", "sh", "-c", "until [ -e /ready ]; do :; done")
    # -xdev: mount points are listed, what is mounted on them is not
    seen = cli("exec", "c", "find", "/", "-xdev", "-mindepth", "1", "-print0").stdout.split("\0")
    data = export(cli, "c")
    members = listed(data)
    assert sorted(f"/{name}" for name in members) == sorted(name for name in seen if name)
    assert "mnt/volume" in members and "mnt/volume/secret" not in members
    assert not any(name.startswith(("proc/", "sys/", "dev/")) for name in members)

    assert members["data/two"].linkname == "data/one" and members["data/two"].islnk()
    assert members["data/absolute"].linkname == "/etc/passwd"
    assert members["data/fifo"].isfifo()
    assert (members["data/up"].uid, members["data/up"].gid) == (5, 6)
    owned = members["data/owned"]
    assert (owned.uid, owned.gid, owned.mode) == (1000, 2000, 0o4711)
    assert (members["data/sticky"].mode, members["data/closed"].mode) == (0o1777, 0)
    assert members["data/one"].mtime == 981173106
    assert members["data/sparse"].size == 1 << 20
    assert "bin/sed" not in members and "home/new" in members

    listing = subprocess.run(["tar", "-tf", "-"], input=data, capture_output=True, check=True, timeout=60)
    assert len(listing.stdout.splitlines()) == len(members)
    digest = hashlib.sha256(data).digest()
    assert hashlib.sha256(export(cli, "c")).digest() == digest
    cli("stop", "--time=0", "c")
    assert hashlib.sha256(export(cli, "c")).digest() == digest


def test_a_created_container_is_its_image(cli: Cli, image: str) -> None:
    cli("create", "--name=c", image, "true")
    assert "bin/busybox" in listed(export(cli, "c"))


def test_to_a_file(cli: Cli, image: str, tmp_path: Path) -> None:
    cli("create", "--name=c", image, "true")
    target = tmp_path / "out.tar"
    target.write_text("older")
    assert export(cli, "--output", str(target), "c") == b""
    assert target.read_bytes() == export(cli, "c")
    assert os.listdir(tmp_path) == ["out.tar"]
    missing = cli("export", "-o", str(tmp_path / "no" / "x"), "c", status=125)
    assert "cannot write" in missing.stderr and "No such file" in missing.stderr
    cli("export", "-o", "/dev/full", "c", status=125)
    cli("export", "-o", str(tmp_path / "x"), "nothing", status=125)
    assert os.listdir(tmp_path) == ["out.tar"]


def test_a_reader_that_leaves(cli: Cli, image: str) -> None:
    cli("create", "--name=c", image, "true")
    done = cli.shell("daemonless export c | head -c 1000 | wc -c")
    assert (done.lines, done.stderr) == (["1000"], "")


def test_a_terminal_is_refused(cli: Cli, image: str, terminal: Terminal) -> None:
    cli("create", "--name=c", image, "true")
    terminal.type("daemonless export c")
    terminal.wait_for("refusing to write the archive to a terminal")


def test_swapping_links_while_it_is_read(cli: Cli, image: str) -> None:
    """U-30: a container that swaps a directory for a link never gets a file of the host in."""
    canary = Path(cli.env["HOME"]) / "canary"
    canary.write_text("secret of the host")
    script = f"""mkdir -p /a /b; echo inside > /a/canary
    while :; do mv /a /t; ln -s {canary.parent} /a; rm /a; mv /t /a; done"""
    cli("run", "--detach", "--name=c", "--network=none", image, "sh", "-c", script)
    for _ in range(10):
        done = subprocess.run(
            [cli.program, "export", "c"], capture_output=True, env=cli.environment(), timeout=60, check=False
        )
        assert b"secret of the host" not in done.stdout
        assert listed(done.stdout)


def test_interrupted(cli: Cli, image: str, tmp_path: Path) -> None:
    """Ctrl-C, and SIGKILL of the command alone: no child goes on, no file stays."""
    cli("run", "--name=c", "--network=none", image, "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=40")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    full = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)  # nobody reads: the child waits for room
    for number in (signal.SIGINT, signal.SIGKILL):
        process = cli.start("export", "-o", str(fifo), "c")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        eventually(lambda: select.select([full], [], [], 0)[0])
        child = children.read_text().split()[0]
        process.send_signal(number)
        assert process.wait(20) == (130 if number == signal.SIGINT else -number)
        eventually(lambda child=child: not os.path.exists(f"/proc/{child}"))
        while select.select([full], [], [], 0)[0]:
            os.read(full, 1 << 16)
    os.close(full)
    assert os.listdir(tmp_path) == ["fifo"]
