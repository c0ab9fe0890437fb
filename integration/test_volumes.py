"""Volumes: what of the image they begin with, who may remove them, and that they lead nowhere else."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Registry
from harness import Cli, eventually
from layouts import busybox_layer, layer, make_layout

AS_ROOT = ("unshare", "--map-root-user", "--map-auto")
NONE = ("run", "--rm", "--network=none")
SECRET_OF_HOST = "content of the host's file"
MORE_APPLETS = layer({}, {f"bin/{name}": "busybox" for name in ("grep", "rm", "stat")})


def rich_layer() -> bytes:
    """Return a layer whose /srv has what is hard to copy, and mount points that are hard to trust."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:

        def add(name: str, kind: bytes, mode: int = 0o755, data: bytes = b"", **more: object) -> None:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.size, entry.mtime = kind, mode, len(data), 1_000_000_000
            for key, value in more.items():
                setattr(entry, key, value)
            archive.addfile(entry, io.BytesIO(data))

        add("srv", tarfile.DIRTYPE, 0o2751, uid=7, gid=8)
        add("srv/file", tarfile.REGTYPE, 0o640, b"of the image\n", uid=5, gid=6)
        add("srv/setuid", tarfile.REGTYPE, 0o4755, b"x")
        add("srv/hard", tarfile.LNKTYPE, linkname="srv/file")
        add("srv/link", tarfile.SYMTYPE, linkname="/etc/hostname", uid=9, gid=9)
        add("srv/fifo", tarfile.FIFOTYPE, 0o600)
        add("srv/sub", tarfile.DIRTYPE, 0o700, uid=5)
        add("srv/sub/deep", tarfile.REGTYPE, 0o600, b"deep\n")
        add("srv/tagged", tarfile.REGTYPE, 0o644, b"", pax_headers={"SCHILY.xattr.user.tag": "yes"})
        add("out", tarfile.SYMTYPE, linkname="/../../../../../../etc")
        add("kernel", tarfile.SYMTYPE, linkname="/proc/self")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def rich(registry: Registry, scratch: Path) -> str:
    """An image with content to copy up and no VOLUME."""
    return registry.push(
        make_layout(scratch / "rich", [busybox_layer(), MORE_APPLETS, rich_layer()]), "rich:1"
    )


@pytest.fixture(scope="session")
def declared(registry: Registry, scratch: Path) -> str:
    """An image that declares volumes: a good one, and ones of an attacker (CVE-2022-23648)."""
    volumes = ["/srv", "/a/../../../../../etc", "/out", "/..", "/proc/x", "/new/place"]
    config = {"Volumes": {path: {} for path in volumes}}
    layers = [busybox_layer(), MORE_APPLETS, rich_layer()]
    return registry.push(make_layout(scratch / "declared", layers, config=config), "declared:1")


def pulled(cli: Cli, name: str) -> str:
    if cli("image", "exists", name, status=None).status:
        cli("pull", "--tls-verify=false", name)
    return name


LISTING = "cd {}; stat -c '%A %u %g %h %s %Y %N' . *; cat file; cat sub/deep"


# --- the commands ---------------------------------------------------------------------------


def test_the_life_of_a_volume(cli: Cli) -> None:
    assert cli("volume", "create", "--label", "a=b", "data").stdout == "data\n"
    assert cli("volume", "create", "data", status=125).stderr.startswith("Error: volume data exists already")
    assert cli("volume", "create", "--ignore", "data").stdout == "data\n"
    anonymous = cli("volume", "create").stdout.strip()
    assert len(anonymous) == 64
    assert cli("volume", "ls").lines[0].split() == ["DRIVER", "VOLUME", "NAME"]
    assert cli("volume", "ls", "-q").lines == sorted([anonymous, "data"])
    assert cli("volume", "list", "-f", "label=a", "--format", '{{.Name}} {{.Label "a"}}').lines == ["data b"]
    [shown] = json.loads(cli("volume", "inspect", "data").stdout)
    assert (shown["Name"], shown["Driver"], shown["Scope"]) == ("data", "local", "local")
    assert (shown["Labels"], shown["Options"], shown["NeedsCopyUp"]) == ({"a": "b"}, {}, True)
    assert os.path.isdir(shown["Mountpoint"])
    assert cli("volume", "inspect", "data", "nothing", status=125).stdout.startswith("[")
    assert cli("volume", "exists", "data").stdout == ""
    cli("volume", "exists", "nothing", status=1)
    assert cli("volume", "remove", "data", "nothing", status=1).stdout == "data\n"
    cli("volume", "rm", "--force", "nothing")
    assert cli("volume", "rm", "--all").lines == [anonymous]


def test_prune_asks(cli: Cli, image: str) -> None:
    for name in ("used", "kept", "unused"):
        cli("volume", "create", "--label", f"is={name}", name)
    cli("create", "-v", "used:/data", image)
    assert "no answer" in cli("volume", "prune", status=125).stderr
    assert cli("volume", "prune", input="n\n").stdout == ""
    assert cli("volume", "prune", "--filter", "label!=is=kept", input="y\n").lines == ["unused"]
    assert cli("volume", "prune", "-af").lines == ["kept"]
    assert cli("volume", "ls", "-q", "--filter", "dangling=false").lines == ["used"]


def test_a_used_volume_stays(cli: Cli, image: str) -> None:
    cli("run", "-d", "--network=none", "--name", "user", "-v", "data:/data", image, "sleep", "1000")
    refused = cli("volume", "rm", "data", status=2)
    assert "volume data is being used by the following container(s)" in refused.stderr
    assert cli("volume", "rm", "--force", "--time", "0", "data").stdout == "data\n"
    assert cli.ids() == []


# --- what they begin with -------------------------------------------------------------------


def test_a_new_volume_begins_with_the_content_of_the_image(cli: Cli, rich: str) -> None:
    name = pulled(cli, rich)
    expected = cli(*NONE, name, "sh", "-c", LISTING.format("/srv")).stdout
    assert "of the image" in expected and "drwxr-s--x 7 8" in expected
    assert cli(*NONE, "-v", "data:/srv", name, "sh", "-c", LISTING.format("/srv")).stdout == expected
    assert not json.loads(cli("volume", "inspect", "data").stdout)[0]["NeedsCopyUp"]
    copy = cli.root / "volumes" / "data"
    assert sorted(os.listdir(copy)) == ["_data", "lock", "volume.json"]
    script = "import os, sys; print(os.getxattr(sys.argv[1], 'user.tag'))"
    read = [*AS_ROOT, "python3", "-c", script, copy / "_data" / "tagged"]
    assert subprocess.run(read, capture_output=True, text=True, check=True).stdout == "b'yes'\n"


def test_what_is_in_a_volume_is_never_copied_over(cli: Cli, rich: str) -> None:
    """CVE-2020-1726: a used volume stays byte-identical, one mounted read-only, too."""
    name = pulled(cli, rich)
    cli(*NONE, "-v", "data:/elsewhere", name, "sh", "-c", "echo mine >/elsewhere/file")
    for options in ("", ":ro"):
        shown = cli(*NONE, "-v", f"data:/srv{options}", name, "sh", "-c", "cd /srv; echo *; cat file").stdout
        assert shown == "file\nmine\n"
    cli("volume", "create", "early")
    mountpoint = cli("volume", "inspect", "-f", "{{.Mountpoint}}", "early").stdout.strip()
    Path(mountpoint, "file").write_text("of the user\n")
    assert cli(*NONE, "-v", "early:/srv", name, "cat", "/srv/file").stdout == "of the user\n"
    assert os.listdir(mountpoint) == ["file"]


def test_a_volume_emptied_by_a_container_stays_empty(cli: Cli, rich: str) -> None:
    name = pulled(cli, rich)
    cli(*NONE, "-v", "data:/srv", name, "sh", "-c", "rm -r /srv/*")
    assert cli(*NONE, "-v", "data:/srv", name, "ls", "-A", "/srv").stdout == ""


def test_volumes_on_volumes(cli: Cli, rich: str) -> None:
    """What is below another mount comes from the image all the same."""
    mounts = ("-v", "outer:/srv", "-v", "inner:/srv/sub")
    assert (
        cli(*NONE, *mounts, pulled(cli, rich), "cat", "/srv/file", "/srv/sub/deep").stdout
        == "of the image\ndeep\n"
    )
    assert cli(*NONE, "-v", "inner:/i", rich, "ls", "/i").stdout == "deep\n"


def test_nocopy(cli: Cli, rich: str) -> None:
    name = pulled(cli, rich)
    assert cli(*NONE, "-v", "data:/srv:nocopy", name, "ls", "-A", "/srv").stdout == ""


def test_a_volume_over_nothing_belongs_to_the_user_of_the_container(cli: Cli, image: str) -> None:
    shown = cli(*NONE, "-u", "1000:5", "-v", "data:/not/there", image, "stat", "-c", "%u %g", "/not/there")
    assert shown.stdout == "1000 5\n"
    cli("volume", "create", "--uid", "7", "--gid", "8", "given")
    shown = cli(*NONE, "-v", "given:/etc", image, "stat", "-c", "%u %g", "/etc")
    assert shown.stdout == "7 8\n"


def test_a_copy_that_was_cut_short_is_made_anew(cli: Cli, rich: str) -> None:
    """A start that is killed while it fills a volume leaves _new, or _full once it is complete."""
    name = pulled(cli, rich)
    for unfinished, expected in (("_new", "of the image\n"), ("_full", "of the first try\n")):
        volume = f"v{unfinished}"
        cli("volume", "create", volume)
        left = cli.root / "volumes" / volume / unfinished
        left.mkdir()
        (left / "file").write_text("of the first try\n")
        shown = cli(*NONE, "-v", f"{volume}:/srv", name, "cat", "/srv/file")
        assert shown.stdout == expected
        assert sorted(os.listdir(left.parent)) == ["_data", "lock", "volume.json"]


def test_one_fills_a_volume_that_many_begin_to_use(cli: Cli, rich: str) -> None:
    """Whoever comes second waits and finds the volume filled; swapped orders do not lock up."""
    name = pulled(cli, rich)

    def run(number: int) -> str:
        first, second = ("a", "b") if number % 2 else ("b", "a")
        mounts = ("-v", f"{first}:/srv", "-v", f"{second}:/etc", "-v", "/anonymous")
        return cli(*NONE, *mounts, name, "sh", "-c", "cat /srv/file /srv/sub/deep 2>&1; ls /etc").stdout

    with ThreadPoolExecutor(8) as pool:
        shown = list(pool.map(run, range(16)))
    # each volume was filled once, from whichever directory came first
    assert cli("volume", "ls", "-q").lines == ["a", "b"]
    assert len(set(shown)) <= 2
    assert any("of the image" in text for text in shown)


def test_no_container_loses_a_volume_to_a_prune(cli: Cli, image: str) -> None:
    """S-7: references are taken under the lock that prune takes; swapped orders do not lock up."""

    def work(number: int) -> str:
        if number % 4 == 0:
            return cli("volume", "prune", "--force").stderr
        first, second = ("a", "b") if number % 2 else ("b", "a")
        mounts = ("-v", f"{first}:/first", "-v", f"{second}:/second", "-v", "/third")
        return cli(*NONE, *mounts, image, "touch", "/first/x", "/second/x", "/third/x").stderr

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(48))) == {""}
    cli("volume", "prune", "--force")
    assert cli("volume", "ls", "-q").lines == []


# --- what the image declares ----------------------------------------------------------------


def test_the_volumes_of_the_image(cli: Cli, rich: str, declared: str) -> None:
    name = pulled(cli, declared)
    script = "cat /srv/file; echo new >/srv/made; cat /proc/self/mounts | grep -c ' /new/place '"
    shown = cli("run", "--network=none", "--name", "c", name, "sh", "-c", script)
    assert shown.stdout == "of the image\n1\n"
    volumes = cli("volume", "ls", "-q", "--filter", "anonymous=true").lines
    assert all(len(volume) == 64 for volume in volumes) and volumes
    assert cli("rm", "c").stdout == "c\n"
    assert cli("volume", "ls", "-q").lines == volumes
    assert sorted(cli("volume", "prune", "-f").lines) == volumes
    cli("run", "--network=none", "--name", "c", name, "true")
    cli("rm", "-v", "c")
    cli(*NONE, name, "true")
    assert cli("volume", "ls", "-q").lines == []


@pytest.mark.parametrize(
    ("kind", "mounts"), [("ignore", "0"), ("tmpfs", "1"), ("bind", "1"), ("anonymous", "1")]
)
def test_image_volume(cli: Cli, declared: str, kind: str, mounts: str) -> None:
    name = pulled(cli, declared)
    script = "cat /srv/file; grep -c ' /srv ' /proc/self/mounts"
    shown = cli(*NONE, f"--image-volume={kind}", name, "sh", "-c", script, status=None)
    assert shown.stdout == f"of the image\n{mounts}\n"


def test_a_mount_of_the_user_replaces_the_volume_of_the_image(
    cli: Cli, declared: str, tmp_path: Path
) -> None:
    (tmp_path / "given").touch()
    shown = cli(*NONE, "-v", f"{tmp_path}:/srv", pulled(cli, declared), "ls", "/srv")
    assert shown.stdout == "given\n"


def test_cve_2022_23648_volumes_of_the_image_copy_nothing_of_the_host(cli: Cli, declared: str) -> None:
    """VOLUME with `..`, on a link out of the root, on a link into /proc: the host's files stay out."""
    name = pulled(cli, declared)
    result = cli("run", "--network=none", "--name", "c", name, "true")
    assert "ignoring the image's volume '/..'" in result.stderr
    find = [*AS_ROOT, "find", str(cli.root / "volumes"), "-type", "f"]
    found = subprocess.run([*find, "-size", "+0"], capture_output=True, text=True, check=True).stdout
    content = {os.path.basename(line) for line in found.splitlines()}
    assert content == {"volume.json", "file", "hard", "setuid", "deep"}


def test_a_volume_on_a_link_into_proc_is_refused(cli: Cli, rich: str) -> None:
    for options in (("-v", "data:/kernel"), ("--tmpfs", "/kernel/ns")):
        result = cli(*NONE, *options, pulled(cli, rich), "true", status=125)
        assert "leads into /proc by a link of the image" in result.stderr


# --- options --------------------------------------------------------------------------------

TABLE = [
    ("-v data:/data", "grep ' /data ' /proc/self/mounts | grep -o 'rw,nosuid,nodev'", 0, "rw,nosuid,nodev\n"),
    ("-v data:/data:ro", "touch /data/x", 1, ""),
    ("-v data:/data:noexec", "cp /bin/busybox /data/b; /data/b true", 126, ""),
    ("-v data:/data", "cp /bin/busybox /data/true; /data/true", 0, ""),
    ("-v DIR:/data:O", "echo new >/data/given; rm -r /data/sub; cat /data/given", 0, "new\n"),
    ("-v DIR:/data:O,ro", "touch /data/x", 1, ""),
    ("-u 5 -v DIR:/data:U", "stat -c %u /data /data/given /data/sub/inner /data/link", 0, "5\n5\n5\n5\n"),
    ("-u 5 -v data:/data:U", "stat -c %u /data", 0, "5\n"),
    ("-u 5 --mount type=tmpfs,dst=/data,U=true", "stat -c %u /data", 0, "5\n"),
    ("--mount type=volume,src=data,dst=/data,ro", "touch /data/x", 1, ""),
    ("--mount dst=/data", "touch /data/x", 0, ""),
    ("--tmpfs /data:size=64k,mode=0700,uid=5", "stat -c '%a %u' /data; df -k /data | tail -1", 0, None),
]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "given").write_text("of the host\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "inner").touch()
    (tmp_path / "link").symlink_to("/etc/passwd")
    yield tmp_path
    subprocess.run([*AS_ROOT, "chown", "-hR", "0:0", str(tmp_path)], check=True)


@pytest.mark.parametrize(
    ("options", "command", "status", "out"), TABLE, ids=[f"{r[0]} {r[1]}" for r in TABLE]
)
def test_options(
    cli: Cli, image: str, directory: Path, options: str, command: str, status: int, out: str | None
) -> None:
    given = [word.replace("DIR", str(directory)) for word in options.split()]
    result = cli(*NONE, *given, image, "sh", "-c", command, status=None)
    assert result.status == status, str(result)
    if out is None:
        assert result.stdout.startswith("700 5\n") and " 64 " in result.stdout
    else:
        assert result.stdout == out
    given_now = subprocess.run([*AS_ROOT, "cat", directory / "given"], capture_output=True, text=True)
    assert given_now.stdout == "of the host\n"
    assert subprocess.run([*AS_ROOT, "test", "-d", directory / "sub"]).returncode == 0


def test_a_throw_away_overlay_is_new_at_every_start(cli: Cli, image: str, directory: Path) -> None:
    script = "cat /data/given; echo changed >/data/given"
    create = ("create", "--network=none", "--name", "c", "-v", f"{directory}:/data:O", image, "sh", "-c")
    cli(*create, script)
    for _ in range(2):
        assert cli("start", "-a", "c").stdout == "of the host\n"


def test_volumes_secrets_and_overlays_through_restarts(cli: Cli, image: str, directory: Path) -> None:
    """A restart by the supervisor is a start: nothing is filled anew, overlays are, secrets stay."""
    cli("secret", "create", "pw", "-", input="value")
    mounts = (
        "-v",
        "data:/etc",
        "-v",
        f"{directory}:/o:O",
        "--secret",
        "pw",
        "--secret",
        "pw,type=env,target=V",
    )
    script = "rm -f /etc/passwd; ls /etc | grep -c group; cat /o/given; echo new >/o/given; echo $V; exit 3"
    options = ("--network=none", "--name", "c", "--restart=on-failure:2", *mounts)
    cli("run", *options, image, "sh", "-c", script, status=3)
    eventually(lambda: cli("logs", "c").stdout == "1\nof the host\nvalue\n" * 3)
    cli("secret", "rm", "pw")


def test_volumes_from(cli: Cli, image: str, directory: Path) -> None:
    mounts = ("-v", "data:/data", "-v", f"{directory}:/host", "--tmpfs", "/memory", "-v", "/anonymous")
    script = "echo shared >/data/file; echo x >/anonymous/file"
    cli("run", "--network=none", "--name", "first", *mounts, image, "sh", "-c", script)
    script = "cat /data/file /anonymous/file /host/given; grep -c ' /memory ' /proc/self/mounts"
    shown = cli(*NONE, "--volumes-from", "first", image, "sh", "-c", script, status=1)
    assert shown.stdout == "shared\nx\nof the host\n0\n"
    cli(*NONE, "--volumes-from", "first:ro", image, "touch", "/data/more", status=1)
    cli(*NONE, "--volumes-from", "first", "-v", "other:/data", image, "touch", "/data/more")
    cli("run", "--network=none", "--name", "second", "--volumes-from", "first", image, "true")
    cli("rm", "-v", "first")
    assert len(cli("volume", "ls", "-q", "--filter", "anonymous=true").lines) == 1  # the second has it
    assert "no such container" in cli("create", "--volumes-from", "nobody", image, status=125).stderr


def test_volumes_of_the_driver(cli: Cli, image: str, directory: Path) -> None:
    cli("volume", "create", "-o", "type=tmpfs", "-o", "o=size=1m,mode=0711", "memory")
    cli("volume", "create", "-o", "type=none", "-o", "o=bind,ro", "-o", f"device={directory}", "host")
    script = "stat -f -c %T /m; stat -c %a /m; cat /h/given; touch /h/x"
    shown = cli(*NONE, "-v", "memory:/m", "-v", "host:/h", image, "sh", "-c", script, status=1)
    assert shown.stdout == "tmpfs\n711\nof the host\n"


def test_inspect_and_ps_tell_of_volumes(cli: Cli, image: str) -> None:
    cli("create", "--name", "c", "-v", "data:/data:ro", image)
    [mount] = json.loads(cli("inspect", "-f", "{{json .Mounts}}", "c").stdout)
    assert (mount["Type"], mount["Name"], mount["Driver"], mount["RW"]) == ("volume", "data", "local", False)
    assert mount["Source"] == cli("volume", "inspect", "-f", "{{.Mountpoint}}", "data").stdout.strip()
    assert cli("inspect", "-f", "{{index .HostConfig.Binds 0}}", "c").stdout.startswith("data:/data:")
    assert cli("ps", "-a", "--filter", "volume=data", "--format", "{{.Names}}").lines == ["c"]
    assert cli("ps", "-a", "--filter", "volume=other", "-q").lines == []


def test_a_failed_create_leaves_no_volume(cli: Cli, image: str) -> None:
    cli("create", "--name", "taken", image)
    cli("create", "--name", "taken", "-v", "data:/data", "-v", "/x", image, status=125)
    cli("create", "-v", "data:/data", "-v", "/x", "-u", "4000000000", image, status=125)
    assert cli("volume", "ls", "-q").lines == []
    cli(*NONE, "-v", "data:/data", "-v", "/x", image, "/no/such/command", status=127)
    assert cli("volume", "ls", "-q").lines == ["data"]


def test_a_volume_that_is_gone_is_named(cli: Cli, image: str) -> None:
    cli("create", "--name", "c", "-v", "data:/data", image, "true")
    subprocess.run(["rm", "-r", cli.root / "volumes" / "data"], check=True)
    assert "volume data of the container is gone" in cli("start", "c", status=125).stderr


# --- containers that share a volume and mean harm -------------------------------------------


def test_a_subpath_stays_in_its_volume(cli: Cli, image: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text(SECRET_OF_HOST)
    links = f"ln -s {tmp_path} /v/out; ln -s ../../../../../.. /v/up; ln -s d /v/in"
    plant = f"mkdir /v/d; echo mine >/v/d/f; {links}"
    cli(*NONE, "-v", "data:/v", image, "sh", "-c", plant)

    def seen(subpath: str) -> str:
        mount = f"type=volume,src=data,dst=/m,subpath={subpath}"
        result = cli(
            *NONE, "--mount", mount, image, "sh", "-c", "cat /m/f /m/canary /m/etc/passwd", status=None
        )
        assert SECRET_OF_HOST not in result.stdout
        return result.stdout or result.stderr

    assert seen("d") == "mine\n"
    assert seen("in") == "mine\n"
    assert "in the volume" in seen("out")
    assert "No such file" in seen("up")
    assert "in the volume" in seen("missing")


def test_a_bind_of_a_part_of_a_volume_stays_in_it(cli: Cli, image: str, tmp_path: Path) -> None:
    """The user names a path below a mountpoint; a container has put a link in its way."""
    (tmp_path / "canary").write_text(SECRET_OF_HOST)
    plant = f"mkdir /v/d; echo mine >/v/d/canary; ln -s {tmp_path} /v/out"
    cli(*NONE, "-v", "data:/v", image, "sh", "-c", plant)
    data = cli("volume", "inspect", "-f", "{{.Mountpoint}}", "data").stdout.strip()
    assert cli(*NONE, "-v", f"{data}/d:/m", image, "cat", "/m/canary").stdout == "mine\n"
    result = cli(*NONE, "-u", "5", "-v", f"{data}/out:/m:U", image, "cat", "/m/canary", status=125)
    assert "in the volume" in result.stderr
    assert (tmp_path / "canary").stat().st_uid == os.getuid()
    assert "with option O" in cli(*NONE, "-v", f"{data}/out:/m:O", image, "true", status=125).stderr


def test_cve_2024_45310_a_mount_point_swapped_while_containers_start(
    cli: Cli, image: str, tmp_path: Path
) -> None:
    """A container swaps a directory and a link in a volume where others mount; nothing gets out."""
    canary = tmp_path / "canary"
    canary.mkdir()
    before = Path("/proc/self/mountinfo").read_text()
    swap = (
        f"mkdir -p /v/a; ln -s {canary} /v/b; ln -s ../../../../../../../../{canary} /v/c; echo ready;"
        "while :; do mv -T /v/a /v/x; mv -T /v/b /v/a; mv -T /v/x /v/b; mv -T /v/c /v/x; mv -T /v/a /v/c;"
        "mv -T /v/x /v/a; done 2>/dev/null"
    )
    swapper = cli.start(
        "run", "--rm", "--network=none", "--name", "swapper", "-v", "shared:/v", image, "sh", "-c", swap
    )
    assert swapper.stdout and swapper.stdout.readline() == b"ready\n"

    def run(number: int) -> int:
        mounts = ("-v", "shared:/v", "--tmpfs", "/v/a/below", "-v", "other:/v/a/deep/er")
        return cli(*NONE, *mounts, image, "true", status=None).status

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(run, range(48)))
    assert 0 in statuses and set(statuses) <= {0, 125}
    assert os.listdir(canary) == []
    assert Path("/proc/self/mountinfo").read_text() == before


def test_cve_2024_9341_own_files_are_mounted_inside_the_root(
    cli: Cli, registry: Registry, scratch: Path, tmp_path: Path
) -> None:
    """Mount points of hosts, resolv.conf and others that the image has made links of."""
    canary = tmp_path / "canary"
    canary.write_text(SECRET_OF_HOST)
    names = ("etc/hosts", "etc/resolv.conf", "etc/hostname", "run/.containerenv")
    links = layer({}, dict.fromkeys(names, f"/../../../../../..{canary}"))
    name = registry.push(make_layout(scratch / "links", [busybox_layer(), links]), "links:1")
    result = cli(*NONE, pulled(cli, name), "cat", *(f"/{file}" for file in names), status=None)
    assert SECRET_OF_HOST not in result.stdout
    assert canary.read_text() == SECRET_OF_HOST
