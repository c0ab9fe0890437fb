"""The image store through its commands: sharing, naming, removing, and what interrupts a pull.

The pull itself, in all its forms, is in test_registry.py.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Registry
from harness import Cli, Terminal, eventually
from layouts import busybox_layer, layer, make_layout, program_layer

NONE = ("run", "--rm", "--network=none")


@pytest.fixture(scope="session")
def layout(scratch: Path) -> Path:
    """Three layers: busybox with files, one of them deleted and a directory made opaque above, and bash."""
    lower = busybox_layer({"etc/kept": b"kept\n", "etc/gone": b"gone\n", "dir/old": b"old\n"})
    upper = layer({"etc/.wh.gone": b"", "dir/.wh..wh..opq": b"", "dir/new": b"new\n"})
    config = {"Env": ["PATH=/usr/bin:/bin", "FROM=image"], "WorkingDir": "/dir", "Labels": {"a": "b"}}
    return make_layout(scratch / "layout", [lower, upper, program_layer("/bin/bash")], config=config)


@pytest.fixture(scope="session")
def pushed(registry: Registry, layout: Path) -> str:
    return registry.push(layout, "library/centos:6")


def check_content(cli: Cli, name: str) -> None:
    script = "pwd; echo $FROM; cat /etc/kept; ls /dir; ls /etc/gone 2>/dev/null || echo whited out"
    assert cli(*NONE, name, "sh", "-c", script).lines == ["/dir", "image", "kept", "new", "whited out"]


def test_pull_run_and_remove(fresh: Cli, pushed: str) -> None:
    identity = fresh("pull", "--quiet", pushed).stdout.strip()
    assert re.fullmatch("(sha256:)?[0-9a-f]{64}", identity)
    check_content(fresh, pushed)
    header, row = fresh("images").lines
    assert header.split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    repository, _, tag = pushed.rpartition(":")
    assert row.split()[:3] == [repository, tag, identity.removeprefix("sha256:")[:12]]
    assert pushed in fresh("rmi", pushed).stdout
    assert fresh("images", "--quiet").stdout == ""
    assert not list((fresh.root / "images/blobs/sha256").iterdir())
    assert not [
        file for key in (fresh.root / "layers").iterdir() for file in key.iterdir() if len(file.name) == 64
    ]


def test_run_pulls_what_is_missing(fresh: Cli, pushed: str) -> None:
    result = fresh("run", "--rm", "--network=none", pushed, "/bin/echo", "Oh hai")
    assert result.stdout == "Oh hai\n"
    assert fresh("run", "--rm", "--network=none", "--pull=never", pushed, "/bin/echo", "Oh hai").stderr == ""


def test_layers_are_shared_between_images(
    fresh: Cli, registry: Registry, pushed: str, scratch: Path, tmp_path: Path
) -> None:
    base = busybox_layer({"etc/shared": b"x"})
    one = registry.push(make_layout(tmp_path / "1", [base]), "shared/one")
    two = registry.push(make_layout(tmp_path / "2", [base, layer({"etc/more": b"y"})]), "shared/two")
    fresh("pull", one)
    fresh("pull", two)
    unpacked = [
        file for key in (fresh.root / "layers").iterdir() for file in key.iterdir() if len(file.name) == 64
    ]
    assert len(unpacked) == 2
    fresh("rmi", one)
    assert fresh(*NONE, two, "cat", "/etc/shared", "/etc/more").stdout == "xy"


def test_the_store_is_a_layout_that_others_read(fresh: Cli, pushed: str, tmp_path: Path) -> None:
    fresh("pull", pushed)
    index = json.loads((fresh.root / "images/index.json").read_text())
    name = index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
    source = f"oci:{fresh.root}/images:{name}"
    subprocess.run(
        ["skopeo", "--insecure-policy", "copy", "--quiet", source, f"dir:{tmp_path}/out"],
        check=True,
        timeout=60,
    )
    assert (tmp_path / "out/manifest.json").exists()


def test_tag_and_untag_by_rmi(fresh: Cli, image: str) -> None:
    fresh(*NONE, image, "true")
    fresh("tag", image, "other:1")
    assert fresh("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=*other*").lines
    assert fresh(*NONE, "other:1", "echo", "same").stdout == "same\n"
    fresh("rmi", "other:1")
    assert fresh(*NONE, image, "echo", "still").stdout == "still\n"


def test_rmi_of_an_image_in_use(fresh: Cli, image: str) -> None:
    fresh("create", "--name", "user", image, "true")
    result = fresh("rmi", image, status=2)
    assert re.match(r"Error: .*in use.*\nHint: ", result.stderr), str(result)
    fresh("start", "user")


def test_20_pulls_at_once(fresh: Cli, pushed: str) -> None:
    processes = [fresh.start("pull", "--quiet", pushed) for _ in range(20)]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert len(fresh("images", "--quiet").lines) == 1


@pytest.mark.parametrize("moment", [50, 100, 150, 200, 300, 400])
def test_kill_9_of_a_pull(fresh: Cli, registry: Registry, pushed: str, moment: int) -> None:
    process = fresh.start("pull", "--quiet", pushed)
    try:
        process.wait(moment / 1000)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()
    fresh("images")
    check_content(fresh, pushed)
    fresh("pull", "--quiet", pushed)  # killed after it had named the image, it has left its lease to the next


def test_an_interrupted_pull_leaves_nothing(
    fresh: Cli, terminal: Terminal, registry: Registry, pushed: str
) -> None:
    """ctrl-c in a terminal, where the progress display is drawn."""
    terminal.type(f"daemonless --root {fresh.root} --runroot {fresh.runroot} pull {pushed}")
    time.sleep(0.05)  # the interpreter's first 2 ms are nobody's: it shows a traceback of no lines then
    terminal.press("C-c")
    terminal.wait_for_prompt()
    assert "Traceback" not in terminal.screen()
    eventually(lambda: not fresh.leftovers())


def test_bash_of_the_examples(cli: Cli, pushed: str, terminal: Terminal) -> None:
    """`run --interactive --tty centos:6 /bin/bash` and `exec --tty --interactive ID /bin/bash`."""
    terminal.type(f"daemonless run --interactive --tty --network=none --name b {pushed} /bin/bash")
    terminal.wait_for(r"bash-[\d.]+# *$")
    terminal.type("echo ${BASH_VERSION%%.*} $((6*7))")
    terminal.wait_for(r"^\d 42$")
    terminal.press("C-p", "C-q")
    terminal.wait_for_prompt()
    terminal.type("daemonless exec --tty --interactive $(daemonless ps --quiet) /bin/bash")
    terminal.wait_for(r"bash-[\d.]+# *\Z")
    terminal.type("exit 3")
    terminal.wait_for_prompt()
    terminal.type("echo status $?")
    terminal.wait_for(r"^status 3$")
    cli("rm", "-f", "-t", "0", "b")
    cli("rmi", pushed)


def test_another_platform_is_not_run_as_this_one(cli, image):
    words = ("--rm", "--network=none", "--pull=never")
    done = cli("run", *words, "--arch=s390x", image, "true", status=125)
    assert "is for linux/" in done.stderr and ", not for linux/s390x" in done.stderr
    cli("run", *words, "--os=linux", image, "true")


def test_a_program_for_other_machines(fresh, scratch):
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xf7\x00\x01\x00\x00\x00" + bytes(40)  # for BPF
    other = make_layout(scratch / "foreign", [layer({"bin/tool": elf})], architecture="bpf")
    fresh("pull", "-q", "--platform=linux/bpf", f"oci:{other}")
    fresh("tag", f"localhost{other}", "foreign")
    done = fresh("run", "--network=none", "foreign", "/bin/tool", status=126)
    assert "the image is for linux/bpf, and this machine is linux/" in done.stderr
    assert "qemu-user-static" in done.stderr


def test_a_container_shows_the_name_it_was_asked_for_by(fresh, image):
    fresh("run", "--rm", "--network=none", image, "true")
    fresh("tag", image, "aaa:1", "zzz:2")
    for name in ("zzz:2", "aaa:1"):
        identity = fresh("create", "--network=none", name, "true").stdout.strip()
        assert fresh.inspect(identity, "{{.ImageName}}") == f"docker.io/library/{name}"
        assert fresh("ps", "-a", "--filter", f"id={identity}", "--format={{.Image}}").lines == [
            f"docker.io/library/{name}"
        ]
