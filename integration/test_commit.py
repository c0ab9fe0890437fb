"""commit: images of containers, judged by running them and by skopeo, umoci and buildah."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from harness import Cli, eventually

SCRIPT = r"""
echo one > /one; ln /one /two; ln -s /etc/passwd /link; mkfifo /fifo
mkdir -m 1777 /sticky; echo x > /owned; chown 1000:2000 /owned; chmod 4711 /owned
dd if=/dev/zero of=/sparse bs=1 count=1 seek=1048575 2>/dev/null
touch -d '2001-02-03 04:05:06' /one
rm /bin/sed; rm -rf /var; mkdir /var; echo new > /var/new
echo more >> /etc/passwd
"""
PROGRESS = r"Committing c\nLayer [0-9a-f]{12}: 0.0 MB, done\n"
# What SCRIPT leaves, as the container and the containers of its image must both see it.
LOOK = r"""
ls -ldn /one /two /link /fifo /sticky /owned /sparse /var/* /etc/passwd; stat -c '%n %h %y' /one /two
stat -c "%n %y" /sticky /bin; cat /one /var/new
ls /bin/sed /var/tmp 2>/dev/null; tail -1 /etc/passwd; md5sum /sparse
"""


@pytest.fixture
def own(cli: Cli) -> Cli:
    """The command; images named own/... are gone after the test."""
    yield cli
    ids = cli("images", "--filter=reference=*/own/*", "--quiet", "--no-trunc").lines
    dangling = cli("images", "--filter=dangling=true", "--quiet", "--no-trunc").lines
    if ids or dangling:
        cli("rmi", "--force", *{*ids, *dangling})


def blobs(cli: Cli) -> set[str]:
    return set(os.listdir(cli.root / "images" / "blobs" / "sha256"))


def layers(cli: Cli) -> set[str]:
    return {str(path.relative_to(cli.root)) for path in (cli.root / "layers").glob("*/*")}


def manifest(cli: Cli, image: str) -> dict:
    path = cli.root / "images" / "blobs" / cli.inspect(image, "{{.Digest}}").replace(":", "/")
    return json.loads(path.read_text())


def test_what_the_container_was_its_image_is(own: Cli, image: str) -> None:
    own("run", "--name=c", "--network=none", image, "sh", "-c", f"{SCRIPT}{LOOK}")
    seen = own("logs", "c").stdout
    done = own("commit", "c", "own/image:1")
    assert len(done.stdout.strip()) == 64 and re.fullmatch(PROGRESS, done.stderr)
    assert own.inspect("own/image:1", "{{.Id}}") == done.stdout.strip()
    before = layers(own)
    again = own("run", "--rm", "--network=none", "own/image:1", "sh", "-c", LOOK)
    assert again.stdout == seen
    assert layers(own) == before  # the layer was unpacked by the commit
    assert own("image", "diff", "own/image:1").stdout == own("diff", "c").stdout
    assert len(manifest(own, "own/image:1")["layers"]) == 2
    layer = own.inspect("own/image:1", "{{index .RootFS.Layers 1}}").removeprefix("sha256:")
    sparse = (own.root / "layers" / "default" / layer / "diff" / "sparse").stat()
    assert sparse.st_size == 1 << 20 and sparse.st_blocks * 512 < 1 << 18
    assert "/etc/hosts" not in own("image", "diff", "own/image:1").stdout


def test_other_tools_read_it(own: Cli, image: str, tmp_path: Path) -> None:
    own("run", "--name=c", "--network=none", image, "sh", "-c", SCRIPT)
    own("commit", "-q", "-m", "a message", "-a", "me", "c", "own/image:1")
    layout = f"oci:{own.root}/images:docker.io/own/image:1"
    shown = subprocess.run(["skopeo", "inspect", "--config", layout], capture_output=True, check=True)
    config = json.loads(shown.stdout)
    assert config["author"] == "me"
    assert config["history"][-1]["comment"] == "a message"
    for target in (f"docker-archive:{tmp_path}/image.tar:x:1", f"oci:{tmp_path}/copy:latest"):
        command = ["skopeo", "--insecure-policy", "copy", "--quiet", layout, target]
        subprocess.run(command, check=True, timeout=60)
    bundle = tmp_path / "bundle"
    command = ["umoci", "unpack", "--rootless", "--image", f"{tmp_path}/copy:latest", str(bundle)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    rootfs = bundle / "rootfs"
    assert (rootfs / "one").stat().st_nlink == 2
    assert (rootfs / "one").stat().st_mtime == 981173106
    assert (rootfs / "sparse").stat().st_size == 1 << 20
    assert os.listdir(rootfs / "var") == ["new"] and not (rootfs / "bin" / "sed").exists()


def test_docker_format(own: Cli, image: str) -> None:
    own("run", "--name=c", "--network=none", image, "touch", "/x")
    own("commit", "-q", "--format=docker", "-m", "a message", "c", "own/image:1")
    document = manifest(own, "own/image:1")
    kinds = [each["mediaType"] for each in (document, document["config"], *document["layers"])]
    assert [kind.removeprefix("application/vnd.docker.") for kind in kinds] == [
        "distribution.manifest.v2+json",
        "container.image.v1+json",
        "image.rootfs.diff.tar",
        "image.rootfs.diff.tar.gzip",
    ]
    config = own.root / "images" / "blobs" / document["config"]["digest"].replace(":", "/")
    assert json.loads(config.read_text())["comment"] == "a message"
    own("run", "--rm", "--network=none", "own/image:1", "ls", "/x")


def test_buildah_reads_it(own: Cli, image: str) -> None:
    """podman's own storage library: the same files, whatever became of whiteouts and links."""
    own("run", "--name=c", "--network=none", image, "sh", "-c", SCRIPT)
    image_id = own("commit", "-q", "c", "own/image:1").stdout.strip()
    directory = Path(f"/tmp/buildah{os.getpid()}")  # it wants a short path that could be an image's name
    directory.mkdir(mode=0o700)
    (directory / "images").symlink_to(own.root / "images")
    script = f"""
    set -e
    buildah() {{ command buildah --root {directory}/r --runroot {directory}/s --storage-driver=vfs "$@"; }}
    buildah pull --quiet oci:{directory}/images:docker.io/own/image:1
    cd $(buildah mount $(buildah from {image_id}))
    stat -c '%n %a %u %g %s %h' one two link fifo sticky owned sparse var/*; cat one
    ls bin/sed || true
    """
    enter = ["unshare", "--map-root-user", "--map-auto", "--mount"]
    env = {**os.environ, "XDG_RUNTIME_DIR": str(directory), "_CONTAINERS_USERNS_CONFIGURED": "done"}
    try:
        shown = subprocess.run(
            [*enter, "sh", "-c", script], capture_output=True, text=True, timeout=60, env=env, check=False
        )
    finally:
        subprocess.run([*enter, "rm", "-rf", str(directory)], check=True, timeout=60)
    assert shown.stdout.splitlines() == [
        image_id,
        "one 644 0 0 4 2",
        "two 644 0 0 4 2",
        "link 777 0 0 11 1",
        "fifo 644 0 0 0 1",
        "sticky 1777 0 0 4096 2",
        "owned 4711 1000 2000 2 1",
        "sparse 644 0 0 1048576 1",
        "var/new 644 0 0 4 1",
        "one",
    ], shown.stderr


def test_attributes_and_times_survive(own: Cli, image: str) -> None:
    """xattrs and sub-second times, set from the host's side of the user namespace."""
    own("create", "--name=c", "--network=none", image, "sleep", "100")
    own("start", "c")
    own("exec", "c", "sh", "-c", "echo x > /x; mkdir /d")
    upper = own.root / "containers" / own.inspect("c", "{{.Id}}") / "upper"
    os.setxattr(upper / "x", "user.colour", b"blue")
    os.setxattr(upper / "d", "user.kind", b"directory")
    capability = "cap_net_raw=ep"
    enter = ["unshare", "--map-root-user", "--map-auto"]
    if shutil.which("setcap", path="/usr/sbin:/sbin:/usr/bin"):
        subprocess.run([*enter, "/sbin/setcap", capability, str(upper / "x")], check=True, timeout=20)
    os.utime(upper / "x", ns=(0, 1_234_567_890_123_456_789))
    own("commit", "-q", "c", "own/image:1")
    layer = own.inspect("own/image:1", "{{index .RootFS.Layers 1}}").removeprefix("sha256:")
    diff = own.root / "layers" / "default" / layer / "diff"
    assert os.getxattr(diff / "x", "user.colour") == b"blue"
    assert os.getxattr(diff / "d", "user.kind") == b"directory"
    assert (diff / "x").stat().st_mtime_ns == 1_234_567_890_123_456_789
    assert set(os.listxattr(diff / "x")) >= set(os.listxattr(upper / "x")) - {"user.overlay.origin"}


def test_settings(own: Cli, image: str) -> None:
    options = ["--env=A=from run", "--label=l=m", "--user=1000", "--workdir=/tmp", "--publish=127.0.0.1::81"]
    own(
        *("create", "--name=c", *options, "--entrypoint=/bin/echo", "--stop-signal=QUIT", image, "a", "b"),
        env={"http_proxy": "http://user:secret@proxy"},
    )
    changes = ["--change", "ENV B=2", "-c", "EXPOSE 80", "-c", "HEALTHCHECK CMD true", "-c", 'CMD ["x"]']
    own("commit", "-q", *changes, "c", "own/image:1")
    path = own.root / "images" / "blobs" / manifest(own, "own/image:1")["config"]["digest"].replace(":", "/")
    text = path.read_text()
    config = json.loads(text)["config"]
    assert config["Env"][-2:] == ["A=from run", "B=2"] and config["Env"][0].startswith("PATH=")
    assert len(config["Env"]) == 3 and "secret" not in text
    assert config["Labels"]["l"] == "m"
    assert config["User"] == "1000" and config["WorkingDir"] == "/tmp"
    assert config["Entrypoint"] == ["/bin/echo"] and config["Cmd"] == ["x"]
    assert config["ExposedPorts"] == {"81/tcp": {}, "80/tcp": {}}
    assert config["StopSignal"] == "SIGQUIT"
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "true"]}
    own("commit", "-q", "c", "own/image:2")
    assert json.loads(own("inspect", "own/image:2").stdout)[0]["Config"]["Cmd"] == ["a", "b"]
    assert own("run", "--rm", "--network=none", "own/image:2").stdout == "a b\n"


def test_equal_input_gives_an_equal_image(own: Cli, image: str) -> None:
    own("run", "--name=c", "--network=none", image, "sh", "-c", SCRIPT)
    epoch = {"SOURCE_DATE_EPOCH": "1700000000"}
    first = own("commit", "c", "own/image:1", env=epoch).stdout
    second = own("commit", "c", "own/image:2", env=epoch).stdout
    assert first == second
    assert own.inspect("own/image:1", "{{.Created}}").startswith("2023-11-14T22:13:20")
    later = own("commit", "-q", "c", "own/image:3").stdout
    assert later != first
    layers = [own.inspect(f"own/image:{number}", "{{.RootFS.Layers}}") for number in (1, 3)]
    assert layers[0] == layers[1]
    assert "SOURCE_DATE_EPOCH" in own("commit", "c", status=125, env={"SOURCE_DATE_EPOCH": "x"}).stderr


def test_squashed(own: Cli, image: str) -> None:
    own("run", "--detach", "--name=c", "--network=none", image, "sh", "-c", f"{SCRIPT}{LOOK}; sleep 100")
    eventually(lambda: own("logs", "c").stdout.endswith("/sparse\n"))
    own("commit", "-q", "--squash", "c", "own/image:1")
    seen = own("logs", "c").stdout
    assert len(manifest(own, "own/image:1")["layers"]) == 1
    assert own("run", "--rm", "--network=none", "own/image:1", "sh", "-c", LOOK).stdout == seen


def test_without_a_name_and_with_an_id_file(own: Cli, image: str, tmp_path: Path) -> None:
    own("create", "--name=c", image, "true")
    done = own("commit", "--quiet", "--iidfile", str(tmp_path / "id"), "c")
    assert (tmp_path / "id").read_text() == done.stdout.strip()
    assert done.stderr == ""
    assert own.inspect(done.stdout.strip(), "{{.RepoTags}}") == "[]"
    own("run", "--rm", "--network=none", done.stdout.strip(), "true")


def test_a_name_is_taken_over(own: Cli, image: str) -> None:
    own("create", "--name=c", image, "true")
    first = own("commit", "-q", "-m", "first", "c", "own/image").stdout.strip()
    second = own("commit", "-q", "-m", "second", "c", "own/image").stdout.strip()
    assert first != second
    assert own.inspect("own/image:latest", "{{.Id}}") == second
    assert own.inspect(first, "{{.RepoTags}}") == "[]"


def add_blob(directory: Path, document: dict) -> dict[str, object]:
    """Write a document into the store; return the members of a descriptor of it."""
    data = json.dumps(document).encode()
    digest = hashlib.sha256(data).hexdigest()
    (directory / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def test_too_many_layers(own: Cli, image: str) -> None:
    own("create", "--name=c", image, "true")
    own("commit", "-q", "c", "own/image")
    path = own.root / "images" / "blobs" / own.inspect("own/image", "{{.Digest}}").replace(":", "/")
    document = json.loads(path.read_text())
    config_path = own.root / "images" / "blobs" / document["config"]["digest"].replace(":", "/")
    config = json.loads(config_path.read_text())
    document["layers"] += [document["layers"][-1]] * 125
    config["rootfs"]["diff_ids"] += [config["rootfs"]["diff_ids"][-1]] * 125
    # An image of 127 layers, put into the store as a pull would.
    document["config"] |= add_blob(path.parent, config)
    index = own.root / "images" / "index.json"
    entries = json.loads(index.read_text())
    entry = next(each for each in entries["manifests"] if each["digest"].endswith(path.name))
    entry |= add_blob(path.parent, document)
    index.write_text(json.dumps(entries))
    own("run", "--name=many", "--network=none", "own/image", "touch", "/last")
    refused = own("commit", "many", "own/image:2", status=125)
    assert "128 layers, and at most 127" in refused.stderr and "--squash" in refused.stderr
    own("commit", "-q", "--squash", "many", "own/image:2")
    own("run", "--rm", "--network=none", "own/image:2", "ls", "/last")


def test_nothing_stays_of_a_commit_that_fails(own: Cli, image: str) -> None:
    own("run", "--name=c", "--network=none", image, "dd", "if=/dev/urandom", "of=/big", "bs=1M", "count=20")
    before = blobs(own), layers(own), own("images", "--quiet").stdout
    for change in ("NONSENSE x", "CMD"):
        assert "cannot apply" in own("commit", "-c", change, "c", "own/image", status=125).stderr
    own("commit", "c", "UPPER", status=125)
    own("commit", "c", "own/image@sha256:" + "0" * 64, status=125)
    own("commit", "--iidfile", "/no/such/place", "c", status=125)
    own("commit", "nothing", status=125)
    # SIGINT and SIGKILL in the middle, when part of the blob is written
    for number in (signal.SIGINT, signal.SIGKILL):
        process = own.start("commit", "c", "own/image")
        eventually(lambda: any(path.stat().st_size > 1 << 20 for path in (own.root / "tmp").glob("blob.*")))
        process.send_signal(number)
        assert process.wait(30) in (130, -number)
    assert (blobs(own), layers(own), own("images", "--quiet").stdout) == before
    own("commit", "-q", "c", "own/image")
    assert len(layers(own)) == len(before[1]) + 1


def test_a_full_disk(own: Cli, image: str) -> None:
    """A file size limit stands for it: the error is another, the path the same."""
    own("run", "--name=c", "--network=none", image, "dd", "if=/dev/urandom", "of=/big", "bs=1M", "count=8")
    before = blobs(own), layers(own)
    failed = own.shell("ulimit -f 4096; trap '' XFSZ; daemonless commit c own/image", status=125)
    assert "cannot make the image: File too large" in failed.stderr
    assert (blobs(own), layers(own)) == before
    assert not list((own.root / "tmp").glob("blob.*"))


def test_a_running_container_that_removes_itself(own: Cli, image: str) -> None:
    """--rm makes the overlay volatile; its files are read all the same."""
    own("run", "--detach", "--rm", "--name=c", "--network=none", image, "sh", "-c", "echo x > /x; sleep 100")
    own("exec", "c", "sh", "-c", "until [ -e /x ]; do :; done")
    own("commit", "-q", "c", "own/image")
    assert own("run", "--rm", "--network=none", "own/image", "cat", "/x").stdout == "x\n"


def test_files_that_change_meanwhile(own: Cli, image: str) -> None:
    change = "for i in 1 2 3; do dd if=/dev/zero of=/f$i bs=1M count=$i 2>/dev/null; rm /f$i; done"
    script = f"while :; do {change}; done"
    own("run", "--detach", "--name=c", "--network=none", image, "sh", "-c", script)
    for number in range(3):
        own("commit", "-q", "c", f"own/image:{number}")
        own("run", "--rm", "--network=none", f"own/image:{number}", "true")
