"""Images for other machines: chosen by --platform, and run where the kernel has an interpreter for them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Cli
from lanes import Namespace
from layouts import busybox_layer, layer, make_layout

RUN = ("run", "--rm", "--network=none")
# ELF of a machine that no kernel runs (EM_BPF), and what tells it from others: binfmt_misc's magic and mask
PROGRAM = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xf7\x00" + b"foreign\n" + bytes(48)
MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf7\x00"


@pytest.fixture(scope="module")
def layouts(scratch: Path) -> dict[str, Path]:
    foreign = layer({"bin/tool": PROGRAM})
    return {
        "amd64": make_layout(
            scratch / "platform-amd64", [busybox_layer()], config={"Cmd": ["echo", "native"]}
        ),
        "bpf": make_layout(
            scratch / "platform-bpf", [foreign], architecture="bpf", config={"Cmd": ["/bin/tool"]}
        ),
    }


@pytest.fixture
def both(fresh, layouts) -> Cli:
    """A user with a list of two images, called both."""
    for name, layout in layouts.items():
        fresh("pull", "--quiet", f"--platform=linux/{name}", f"oci:{layout}")
        fresh("tag", f"localhost{layout}", name)
    fresh("manifest", "create", "both", "amd64", "bpf")
    return fresh


@pytest.fixture
def interpreted(both: Cli, scratch: Path) -> Iterator[Cli]:
    """The same in a namespace whose kernel runs foreign programs through `cat`, as far as it can.

    Since Linux 6.7 a user namespace has a binfmt_misc of its own (binfmt_misc.rst).
    """
    directory = both.root.parent
    shutil.copy("/bin/busybox", directory / "cat")
    register = (
        f"mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && echo ':dl:M::{MAGIC}::{directory}/cat:F'"
    )
    setup = f"{{ {register} >/proc/sys/fs/binfmt_misc/register; }} 2>/dev/null || :"
    namespace = Namespace(directory, setup, who="--map-root-user")
    program = both.program
    both.program = namespace.enter(program, directory / "daemonless")
    yield both
    both.program = program
    namespace.close()


def test_a_list_gives_the_image_of_a_platform(both):
    assert both(*RUN, "both").stdout == "native\n"
    assert both(*RUN, "--platform=linux/amd64", "both").stdout == "native\n"
    done = both(*RUN, "--platform=linux/bpf", "both", status=126)
    assert "cannot execute /bin/tool" in done.stderr and len(done.stderr.splitlines()) == 2
    assert "the image is for linux/bpf, and this machine is linux/" in done.stderr
    assert "offers linux/amd64, linux/bpf" in both(*RUN, "--arch=s390x", "both", status=125).stderr


def test_binfmt(interpreted):
    major, minor = (int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    can = (major, minor) >= (6, 7)
    done = interpreted(*RUN, "--platform=linux/bpf", "both", status=0 if can else 126)
    assert done.stdout.encode("utf-8", "surrogateescape") == (PROGRAM if can else b"")
    assert interpreted(*RUN, "both").stdout == "native\n"
