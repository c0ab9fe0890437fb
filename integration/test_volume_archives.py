"""volume export and import: through pipes and files, in every compression, while containers swap links."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
import zstandard
from harness import Cli

NONE = ("run", "--rm", "--network=none")
CONTENT = """cd /v; chown 33:34 .; chmod 2750 .; mkdir sub; echo one >sub/one; ln sub/one two; chown 5:6 two
ln -s /etc/passwd link; mkfifo fifo; dd if=/dev/zero of=hole bs=1 count=1 seek=999999 2>/dev/null"""
LISTING = "cd /v; stat -c '%A %u %g %h %s %Y %N' . * sub/*; cat two"


def exported(cli: Cli, name: str) -> bytes:
    """Return what `volume export` writes."""
    command = [cli.program, "volume", "export", name]
    return subprocess.run(command, capture_output=True, env=cli.environment(), check=True, timeout=60).stdout


def archive(*members: tuple[str, bytes, bytes | str]) -> bytes:
    """Return an archive of (name, type, data or link)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, kind, data in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = kind, 0o755
            if isinstance(data, str):
                entry.linkname = data
            else:
                entry.size = len(data)
            made.addfile(entry, io.BytesIO(data) if isinstance(data, bytes) else None)
    return buffer.getvalue()


def staging(cli: Cli) -> list[str]:
    directory = cli.root / "tmp"
    return os.listdir(directory) if directory.exists() else []


def test_a_backup_and_its_restoration(cli: Cli, image: str, tmp_path: Path) -> None:
    cli(*NONE, "-v", "data:/v", image, "sh", "-c", CONTENT)
    seen = cli(*NONE, "-v", "data:/v", image, "sh", "-c", LISTING).stdout
    assert cli("volume", "export", "--output", str(tmp_path / "backup.tar"), "data").stdout == ""
    backup = (tmp_path / "backup.tar").read_bytes()
    assert exported(cli, "data") == backup
    listed = subprocess.run(
        ["tar", "-tvf", tmp_path / "backup.tar", "--numeric-owner"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert listed[0].startswith("drwxr-s--- 33/34") and listed[0].endswith(" ./")
    assert [line.split()[5] for line in listed] == ["./", "fifo", "hole", "link", "sub/", "sub/one", "two"]
    cli("volume", "create", "copy")
    assert cli("volume", "import", "copy", str(tmp_path / "backup.tar")).stdout == ""
    assert cli(*NONE, "-v", "copy:/v", image, "sh", "-c", LISTING).stdout == seen
    assert exported(cli, "copy") == backup
    assert staging(cli) == []


@pytest.mark.parametrize(
    "compress",
    [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.compress],
    ids=lambda f: f.__module__,
)
def test_every_compression(cli: Cli, image: str, compress: object) -> None:
    data = compress(archive(("d", tarfile.DIRTYPE, b""), ("d/f", tarfile.REGTYPE, b"text\n" * 30_000)))  # type: ignore[operator]
    cli("volume", "create", "data")
    cli("volume", "import", "data", "-", input=data)
    assert cli(*NONE, "-v", "data:/v", image, "tail", "-n1", "/v/d/f").stdout == "text\n"
    cli("create", "--name=c", "--network=none", image, "tail", "-n1", "/srv/d/f")
    cli(
        "cp", "-", "c:/srv", input=data, status=125
    )  # no such directory yet: the archive must be unpacked there
    cli("cp", "-", "c:/", input=compress(archive(("srv/", tarfile.DIRTYPE, b""))))  # type: ignore[operator]
    cli("cp", "-", "c:/srv", input=data)
    assert cli("start", "--attach", "c").stdout == "text\n"


def test_what_is_refused(cli: Cli, tmp_path: Path) -> None:
    good = archive(("f", tarfile.REGTYPE, b"x" * 3000))
    (tmp_path / "good.tar").write_bytes(good)
    cli("volume", "create", "data")
    cli("volume", "create", "--opt=type=tmpfs", "memory")
    cli("volume", "create", "--opt=type=none", "--opt=o=bind", f"--opt=device={tmp_path}", "bound")
    before = exported(cli, "data")
    for words, given, said in (
        (("export", "nothing"), b"", "no such volume: nothing"),
        (("export", "memory"), b"", "in the memory of each container"),
        (("export", "bound"), b"", f"stands for {tmp_path}"),
        (("export", "-o", f"{tmp_path}/no/such", "data"), b"", "cannot write"),
        (("import", "nothing", f"{tmp_path}/good.tar"), b"", "no such volume: nothing"),
        (("import", "memory", f"{tmp_path}/good.tar"), b"", "in the memory of each container"),
        (("import", "data", f"{tmp_path}/none.tar"), b"", "no such file"),
        (("import", "data", str(tmp_path)), b"", "Is a directory"),
        (("import", "data"), b"", "cannot import standard input: the archive ends too early"),
        (("import", "data", "-"), good[:1024], "cannot import standard input: the archive ends too early"),
        (
            ("import", "data", "-"),
            gzip.compress(good)[:-9],
            "cannot import standard input: the archive is not",
        ),
        (
            ("import", "data", "-"),
            b"no archive at all" * 99,
            "cannot import standard input: the checksum",
        ),
        (("import", "data", "-"), archive(("f", b"0", b"x"), ("../out", b"0", b"x")), 'has a ".." in it'),
    ):
        refused = cli("volume", *words, input=given, status=125).stderr
        assert said in refused and refused.count("Error") == 1, (words, refused)
    assert exported(cli, "data") == before
    assert os.listdir(tmp_path) == ["good.tar"]
    assert staging(cli) == []
    assert (
        "refusing to write"
        in cli.shell(f"script -qec 'daemonless volume export data' {tmp_path}/typed", status=125).stdout
    )


def test_what_was_imported_is_not_filled_from_an_image(cli: Cli, image: str) -> None:
    cli("volume", "create", "data")
    cli("volume", "import", "data", input=archive((".", tarfile.DIRTYPE, b"")))
    assert cli(*NONE, "-v", "data:/etc", image, "ls", "-A", "/etc").stdout.split() == [
        "hostname",
        "hosts",
        "resolv.conf",
    ]


def test_a_volume_that_is_removed_is_not_half_exported(cli: Cli, image: str) -> None:
    cli(*NONE, "-v", "data:/v", image, "dd", "if=/dev/zero", "of=/v/big", "bs=1M", "count=4")
    export = cli.start("volume", "export", "data", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert export.stdout and export.stderr
    export.stdout.read(512)
    cli("volume", "rm", "data")
    export.stdout.read()
    assert b"volume data was removed while it was exported" in export.stderr.read()
    assert export.wait(20) == 125


# --- containers that swap links -------------------------------------------------------------


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A directory of the host that a container has links to."""
    directory = tmp_path / "host"
    directory.mkdir()
    (directory / "f").write_text("of the host")
    return directory


def swapper(cli: Cli, image: str, canary: Path) -> None:
    """Run a container in which /v/d is a directory or a link to the canary, and /v/l too."""
    swap = f"mv d t; ln -s {canary} d; rm d; mv t d; rm l; ln -s {canary}/f l; rm l; echo inside >l"
    script = f"cd /v; mkdir d; echo inside >d/f; while :; do {swap}; done"
    cli("run", "--detach", "--name=c", "--network=none", "-v", "data:/v", image, "sh", "-c", script)


def test_cve_2023_0778_export_while_links_are_swapped(cli: Cli, image: str, canary: Path) -> None:
    """Nothing of the host gets into the archive, whichever way round the container is."""
    swapper(cli, image, canary)
    for _ in range(20):
        data = exported(cli, "data")
        assert b"of the host" not in data
        with tarfile.open(fileobj=io.BytesIO(data)) as read:
            assert {member.name.split("/")[0] for member in read} <= {".", "d", "t", "l"}


def test_cve_2023_0778_import_while_links_are_swapped(cli: Cli, image: str, canary: Path) -> None:
    """Nothing is written through a link, whichever way round the container is."""
    swapper(cli, image, canary)
    data = archive(
        ("d", tarfile.DIRTYPE, b""), ("d/f", tarfile.REGTYPE, b"mine"), ("l", tarfile.REGTYPE, b"mine")
    )
    for _ in range(20):
        cli("volume", "import", "data", "-", input=data, status=None)
        assert os.listdir(canary) == ["f"]
        assert (canary / "f").read_text() == "of the host"
    assert staging(cli) == []
