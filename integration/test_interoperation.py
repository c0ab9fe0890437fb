"""The same files, whoever pushed the image in which form and whoever reads it.

{daemonless, skopeo, buildah, podman} push {OCI, docker v2s2} with layers of {gzip, zstd, tar}, and
{daemonless, skopeo and umoci, podman} read: paths, kinds, modes, owners, times, links, extended attributes
and content are compared. What a peer does not make is named so in the table, which the run prints.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import subprocess
import tarfile
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import TABLES, Registry, make_cli
from harness import Cli
from layouts import make_layout

FORMATS = {"oci": "vnd.oci.image", "v2s2": "vnd.docker.distribution"}
COMPRESSIONS = {"gzip": ("gzip",), "zstd": ("zstd",), "zstd:chunked": ("zstd",), "tar": ("tar", "diff.tar")}
CHUNKED = "io.containers.zstd-chunked.manifest-position"
READERS = ("daemonless", "skopeo + umoci", "podman")
# what a pusher does not make, and why
NOT_MADE = {
    ("daemonless", "v2s2", "zstd"): "docker's media types have no zstd",
    ("skopeo", "v2s2", "zstd"): "docker's media types have no zstd",
    ("buildah", "v2s2", "zstd"): "docker's media types have no zstd",
    ("podman", "v2s2", "zstd"): "docker's media types have no zstd",
    **{
        (pusher, "v2s2", "zstd:chunked"): "docker's media types have no zstd"
        for pusher in ("daemonless", "skopeo", "buildah", "podman")
    },
    ("daemonless", "oci", "zstd:chunked"): "daemonless writes plain zstd",
    ("skopeo", "oci", "tar"): "skopeo compresses what it sends to a registry",
    ("skopeo", "v2s2", "tar"): "skopeo compresses what it sends to a registry",
    ("buildah", "oci", "tar"): "buildah 1.28 compresses for a registry even with --disable-compression",
    ("buildah", "v2s2", "tar"): "buildah 1.28 compresses for a registry even with --disable-compression",
    ("podman", "oci", "tar"): "podman compresses what it sends to a registry",
    ("podman", "v2s2", "tar"): "podman compresses what it sends to a registry",
}
CASES = [
    (pusher, form, compression)
    for pusher in ("daemonless", "skopeo", "buildah", "podman")
    for form in FORMATS
    for compression in COMPRESSIONS
    if (pusher, form, compression) not in NOT_MADE
]
ACCEPT = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
NOBODY = 65534
TIME = 1_600_000_000

# Prints one line of JSON for each file below a directory: what an image says of it.
LIST = """
import hashlib, json, os, stat, sys
top = os.fsencode(sys.argv[1])
links = {}
for directory, names, files in os.walk(top):
    for name in sorted(names + files):
        path = os.path.join(directory, name)
        status = os.lstat(path)
        kind = stat.S_IFMT(status.st_mode)
        shown = os.path.relpath(path, top).decode('utf-8', 'backslashreplace')
        links.setdefault(status.st_ino, []).append(shown)
        what = ''
        if kind == stat.S_IFREG:
            what = hashlib.sha256(open(path, 'rb').read()).hexdigest()
        elif kind == stat.S_IFLNK:
            what = os.readlink(path).decode()
        noted = {n: os.getxattr(path, n, follow_symlinks=False).decode()
            for n in os.listxattr(path, follow_symlinks=False) if n.startswith('user.')
            and not n.startswith('user.overlay') and not n.startswith('user.containers')}
        print(json.dumps([shown, kind, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid,
            status.st_mtime_ns, what, noted, status.st_ino if not stat.S_ISDIR(kind) else 0]))
"""


def member(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, **fields: Any) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    entry.pax_headers = dict(fields.pop("pax", {}))
    nanoseconds = fields.pop("nanoseconds", 0)
    # as text: a float has not enough digits
    entry.pax_headers["mtime"] = f"{TIME}.{nanoseconds:09d}" if nanoseconds else f"{TIME}"
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry


def archive(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry, data in members:
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    # Two blocks are the end. What tarfile fills the last record up with is lost in the zstd:chunked of
    # skopeo 1.9 and podman 4.3, whose layer is then not what the config says (zstd -dc finds the same).
    data = buffer.getvalue()
    return data[: -(-len(data.rstrip(b"\0")) // 512) * 512 + 1024]


def directory(name: str, mode: int = 0o755, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, tarfile.DIRTYPE, mode, **fields), b""


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, kind, 0o777 if kind == tarfile.SYMTYPE else 0o644, linkname=target), b""


LOWER = archive(
    [
        directory("etc"),
        (member("etc/precise", nanoseconds=123456789), b"precise\n"),
        (member("etc/empty", mode=0o600), b""),
        directory("odd"),
        (member('odd/ä " name\twith\\things'), b"odd"),
        (member("odd/" + "long" * 40), b"long"),
        (member("etc/noted", pax={"SCHILY.xattr.user.note": "remember"}), b"noted"),
        directory("ids"),
        (member("ids/setuid", mode=0o4755), b"#!"),
        (member("ids/user", mode=0o640, uid=1000, gid=1001), b"mine"),
        (member("ids/nobody", mode=0o400, uid=NOBODY, gid=NOBODY), b"nobody's"),
        directory("ids/setgid", 0o2775, gid=5),
        directory("ids/sticky", 0o1777),
        directory("links"),
        (member("links/one"), b"one file, three names"),
        link("links/two", "links/one", tarfile.LNKTYPE),
        link("ids/three", "links/one", tarfile.LNKTYPE),
        link("links/relative", "../etc/precise"),
        link("links/absolute", "/etc/precise"),
        link("links/dangling", "nowhere"),
        (member("links/fifo", tarfile.FIFOTYPE), b""),
        directory("gone"),
        (member("gone/with"), b"its directory"),
        directory("kept"),
        (member("kept/removed"), b"removed"),
        (member("kept/changed"), b"before"),
        directory("opaque"),
        (member("opaque/hidden"), b"hidden"),
        directory("turns"),
        (member("turns/inside"), b"inside"),
        (member("large"), b"0123456789abcdef" * 20000),
    ]
)
UPPER = archive(
    [
        (member(".wh.gone"), b""),
        directory("kept", 0o711),
        (member("kept/.wh.removed"), b""),
        (member("kept/changed", mode=0o600, uid=3, nanoseconds=5), b"after"),
        directory("opaque"),
        (member("opaque/.wh..wh..opq"), b""),
        (member("opaque/shown"), b"shown"),
        (member("turns"), b"a file now"),
    ]
)


class World:
    """An image in every store, and a registry they push to."""

    def __init__(self, cli: Cli, layout: Path, registry: Registry, scratch: Path) -> None:
        self.cli = cli
        self.registry = registry
        self.scratch = scratch
        self.layout = layout
        cli("pull", "--quiet", f"oci:{layout}")
        cli("tag", f"localhost{layout}", "interop")
        self.as_root(f"buildah pull -q oci:{layout}:latest; podman pull -q oci:{layout}:latest", "p")

    def as_root(self, script: str, store: str) -> str:
        """Run a script as root of a user namespace, with podman and buildah of a store of its own."""
        place = self.scratch / store
        place.mkdir(exist_ok=True)
        options = f"--root {place}/r --runroot {place}/s --storage-driver=vfs"
        script = f"""
        for own in /run /dev/shm /var/tmp /var/lib/containers; do
            [ ! -d $own ] || mount -t tmpfs none $own
        done
        podman() {{ command podman {options} --cgroup-manager=cgroupfs "$@"; }}
        buildah() {{ command buildah {options} "$@"; }}
        {script}
        """
        done = subprocess.run(
            ["unshare", "--map-root-user", "--map-auto", "--mount", "sh", "-euc", script],
            capture_output=True,
            text=True,
            timeout=180,
            env={**os.environ, "XDG_RUNTIME_DIR": str(place), "_CONTAINERS_USERNS_CONFIGURED": "done"},
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def name(self, case: tuple[str, str, str]) -> str:
        return f"{self.registry.address}/interop/{'-'.join(case).replace(':', '-')}:1"

    def push(self, case: tuple[str, str, str]) -> str:
        """Push in one form, make sure that it is that form, and return the name."""
        pusher, form, compression = case
        name = self.name(case)
        if pusher == "daemonless":
            plain = compression == "tar"
            how = ["--disable-compression"] if plain else [f"--compression-format={compression}"]
            self.cli("push", "--quiet", f"--format={form}", *how, "interop", name)
        elif pusher == "skopeo":
            words = f"skopeo --insecure-policy copy -q --dest-tls-verify=false --format={form}".split()
            words += [
                f"--dest-compress-format={compression}",
                f"oci:{self.layout}:latest",
                f"docker://{name}",
            ]
            # it has a memory of its own of which registry has what, and would send nothing new
            with tempfile.TemporaryDirectory() as home:
                subprocess.run(words, check=True, timeout=60, env={**os.environ, "HOME": home})
        else:
            find = f"{pusher} images -q --no-trunc | head -1"  # they find no short id here
            words = [pusher, "push", "-q", "--tls-verify=false", f"--format={form}"]
            words.append(f"--compression-format={compression}")
            self.as_root(f"{' '.join(words)} $({find}) docker://{name}", "p")
        self._check_form(name, form, compression)
        return name

    def _check_form(self, name: str, form: str, compression: str) -> None:
        path = name.partition("/")[2].removesuffix(":1")
        url = f"http://{self.registry.address}/v2/{path}/manifests/1"
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": ACCEPT})) as answer:
            manifest = json.load(answer)
        assert FORMATS[form] in manifest["mediaType"]
        for each in manifest["layers"]:
            assert each["mediaType"].rpartition(".")[2].rpartition("+")[2] in COMPRESSIONS[compression], (
                manifest
            )
            assert (CHUNKED in each.get("annotations", {})) == (compression == "zstd:chunked"), manifest

    def read(self, reader: str, name: str, where: str) -> str:
        """Return the listing of an image that `reader` unpacked."""
        if reader == "daemonless":
            return self._read_ours(name)
        place = self.scratch / where
        listing = '/usr/bin/python3 -c "$LIST"'
        if reader == "podman":
            script = f"""
            podman pull -q --tls-verify=false docker://{name} >/dev/null
            top=$(podman image mount {name})
            {listing} $top
            podman image umount -f {name} >/dev/null; podman rmi -af >/dev/null
            """
        else:
            script = f"""
            mkdir -p {place}
            # umoci 0.4.7 knows no zstd
            skopeo --insecure-policy copy -q --src-tls-verify=false --dest-compress-format=gzip \
                docker://{name} oci:{place}/layout:1
            umoci unpack --image {place}/layout:1 {place}/bundle >/dev/null
            {listing} {place}/bundle/rootfs
            """
        return self.as_root(f"LIST={_quoted(LIST)}\n{script}", "r")

    def _read_ours(self, name: str) -> str:
        cli = make_cli(self.scratch / f"ours-{hashlib.sha256(name.encode()).hexdigest()[:8]}")
        cli("pull", "--quiet", name)
        identity = cli("create", "--network=none", name, "/x").stdout.strip()
        exported = self.scratch / "exported.tar"
        cli("export", "--output", str(exported), identity)
        try:
            return _listing_of(exported)
        finally:
            cli.remove_all()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _listing_of(path: Path) -> str:
    """Return what LIST prints, from an archive of the container's files."""
    kinds = {
        tarfile.REGTYPE: stat.S_IFREG,
        tarfile.DIRTYPE: stat.S_IFDIR,
        tarfile.SYMTYPE: stat.S_IFLNK,
        tarfile.FIFOTYPE: stat.S_IFIFO,
    }
    lines, files = [], {}
    with tarfile.open(path) as tar:
        for number, entry in enumerate(tar):
            name = entry.name.removeprefix("./")
            if name in ("", "."):
                continue
            if entry.type == tarfile.LNKTYPE:
                lines.append([name, *files[entry.linkname.removeprefix("./")]])
                continue
            what = entry.linkname if entry.issym() else ""
            if entry.isreg():
                data = tar.extractfile(entry)
                assert data
                what = hashlib.sha256(data.read()).hexdigest()
            seconds, _, rest = entry.pax_headers.get("mtime", str(int(entry.mtime))).partition(".")
            mtime = int(seconds) * 10**9 + int(f"{rest:0<9}"[:9])
            noted = {
                key.removeprefix("SCHILY.xattr."): value
                for key, value in entry.pax_headers.items()
                if key.startswith("SCHILY.xattr.user.")
            }
            shown = [kinds[entry.type], entry.mode, entry.uid, entry.gid, mtime, what, noted]
            files[name] = [*shown, 0 if entry.isdir() else number + 1]
            lines.append([name, *files[name]])
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def tree(listing: str, *, ours: bool) -> dict[str, Any]:
    """Return what is compared of a listing, by path; hard links as the names they share."""
    found = {}
    groups: dict[int, list[str]] = {}
    lines = [json.loads(line) for line in listing.splitlines()]
    for name, *_, inode in lines:
        groups.setdefault(inode, []).append(name)
    # what a runtime makes to mount on, and no image has
    made = {"etc/hosts", "etc/hostname", "etc/resolv.conf", "dev", "proc", "sys", "run", "run/.containerenv"}
    for name, kind, mode, uid, gid, mtime, what, noted, inode in lines:
        if ours and name in made:
            continue
        same = sorted(groups[inode]) if inode and len(groups[inode]) > 1 else []
        found[name] = [kind, 0 if kind == stat.S_IFLNK else mode, uid, gid, mtime, what, noted, same]
    return found


@pytest.fixture(scope="module")
def world(scratch: Path, registry: Registry) -> Iterator[World]:
    place = scratch / "io"
    place.mkdir()
    layout = make_layout(place / "layout", [LOWER, UPPER])
    cli = make_cli(place / "cli")
    yield World(cli, layout, registry, place)
    cli.remove_all()


@pytest.fixture(scope="module")
def expected(world: World) -> dict[str, Any]:
    """What umoci makes of the layout itself, and that it is what the archives say."""
    script = f"""
    umoci unpack --image {world.layout}:latest {world.scratch}/itself >/dev/null
    /usr/bin/python3 -c {_quoted(LIST)} {world.scratch}/itself/rootfs
    """
    found = tree(world.as_root(script, "r"), ours=False)
    assert found["etc/precise"][4] == TIME * 10**9 + 123456789
    assert found["etc/noted"][6] == {"user.note": "remember"}
    assert found["links/two"][7] == ["ids/three", "links/one", "links/two"]
    assert found["ids/setuid"][1] == 0o4755 and found["ids/nobody"][2:4] == [NOBODY, NOBODY]
    assert found["turns"][0] == stat.S_IFREG and found["kept/changed"][2] == 3
    assert not {"gone", "kept/removed", "opaque/hidden"} & set(found)
    return found


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_the_same_files(world: World, expected: dict[str, Any], case: tuple[str, str, str]) -> None:
    name = world.push(case)
    lines = TABLES.setdefault("interoperation", [_line("pushed by", "format", "layers", *READERS)])
    results = []
    for reader in READERS:
        where = f"{'-'.join(case)}-{reader.partition(' ')[0]}"
        results.append(tree(world.read(reader, name, where), ours=reader == "daemonless"))
    lines.append(_line(*case, *("equal" if found == expected else "DIFFERS" for found in results)))
    for reader, found in zip(READERS, results, strict=True):
        assert found == expected, reader


def _line(*words: str) -> str:
    return "".join(
        f"{word:<{width}}" for word, width in zip(words, (12, 8, 14, 12, 16, 8), strict=True)
    ).rstrip()


def test_what_is_not_made(world: World) -> None:
    lines = TABLES.setdefault("interoperation", [])
    for case, reason in NOT_MADE.items():
        lines.append(f"{case[0]:<12}{case[1]:<8}{case[2]:<14}not made: {reason}")
    wrong = world.cli("push", "--format=v2s2", "--compression-format=zstd", "interop", "x", status=125)
    assert "zstd" in wrong.stderr
