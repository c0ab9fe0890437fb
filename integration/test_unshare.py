"""unshare: a session in the user namespace, and images mounted in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from harness import eventually
from layouts import busybox_layer, layer, make_layout

ONLY = ("run", "--rm", "--network=none")


@pytest.fixture(scope="module")
def layout(scratch: Path) -> Path:
    layers = [
        busybox_layer({"data/gone": b"", "data/kept": b"kept"}),
        layer({"data/.wh.gone": b"", "data/new": b""}),
    ]
    return make_layout(scratch / "layout-unshare", layers)


def test_the_command_is_root_of_all_ids(cli):
    assert cli("unshare", "id", "-u").stdout == "0\n"
    done = cli(
        "unshare",
        "sh",
        "-c",
        "wc -l </proc/self/uid_map; touch $HOME/x; chown 5:6 $HOME/x; stat -c %u:%g $HOME/x",
    )
    assert int(done.lines[0]) > 1 and done.lines[1] == "5:6"
    assert os.stat(f"{cli.env['HOME']}/x").st_uid > 65535
    cli("unshare", "rm", f"{cli.env['HOME']}/x")
    assert cli("unshare", "printenv", "A", env={"A": "b"}).stdout == "b\n"


@pytest.mark.parametrize(
    ("words", "status"), [(("sh", "-c", "exit 3"), 3), (("sh", "-c", "kill -9 $$"), 137), (("/etc",), 126)]
)
def test_exit_status(cli, words, status):
    cli("unshare", *words, status=status)


def test_a_command_that_does_not_exist(cli):
    assert (
        cli("unshare", "no-such-command", status=127).stderr == "Error: command not found: no-such-command\n"
    )


def test_the_shell_of_the_caller(cli, tmp_path):
    shell = tmp_path / "shell"
    shell.write_text("#!/bin/sh\necho this one\n")
    shell.chmod(0o755)
    assert cli("unshare", env={"SHELL": str(shell)}).stdout == "this one\n"


def test_it_dies_with_its_caller(cli):
    with subprocess.Popen(
        [cli.program, "unshare", "sh", "-c", "echo $$; exec sleep 1000"],
        env=cli.environment(),
        stdout=subprocess.PIPE,
    ) as process:
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGINT)  # the command's, who is in the same terminal; it goes on
        os.kill(pid, 0)
        process.kill()
    eventually(lambda: not os.path.exists(f"/proc/{pid}"))
    cli("image", "prune", "--force")  # takes the lease away that this has left


def test_images_are_mounted_in_a_session_only(fresh, layout):
    fresh("pull", "--quiet", f"oci:{layout}")
    name = f"localhost{layout}:latest"
    done = fresh("image", "mount", name, status=125)
    assert "in a session of daemonless unshare only" in done.stderr and done.stdout == ""
    script = f"""
        set -e
        where=$(daemonless image mount {name})
        ls $where/data
        stat -c %u $where/bin/busybox
        ! touch $where/data/more
        daemonless image mount
        daemonless image mount --format json
        test "$(daemonless image mount {name})" = $where
        daemonless image unmount {name}
        test ! -e $where
        daemonless image mount
    """
    kept, new, owner, listed, *more = fresh.shell(f"daemonless unshare sh -c '{script}'").lines
    assert (kept, new, owner) == ("kept", "new", "0")
    assert listed.split()[0] == name
    [described] = json.loads("\n".join(more[:-1]))
    assert described["mountpoint"] == listed.split()[1] and described["Repositories"] == [name]
    assert more[-1] == described["ID"]
    assert not os.listdir(fresh.runroot / "mounts")


def test_what_is_mounted_stays(fresh, layout):
    fresh("pull", "--quiet", f"oci:{layout}")
    script = f"""
        where=$(daemonless image mount localhost{layout})
        daemonless rmi --all >/dev/null; daemonless image prune --force
        cat $where/data/kept
        cd $where
        daemonless image unmount --all
        daemonless image unmount --all --force | wc -l
    """
    done = fresh.shell(f"daemonless unshare sh -c '{script}'", status=0)
    assert done.stdout == "kept1\n"
    assert "--force unmounts what is in use" in done.stderr
    fresh("image", "prune", "--force")
    assert not list((fresh.root / "images/blobs/sha256").iterdir())


def test_an_image_of_one_layer(cli, image):
    script = f"cd $(daemonless image mount {image}) && ls -d bin && ! touch x 2>/dev/null"
    assert cli.shell(f"daemonless unshare sh -c '{script}'").stdout == "bin\n"


def test_no_session_in_a_session(cli):
    done = cli.shell("daemonless unshare daemonless unshare true", status=125)
    assert "is a session of daemonless unshare already" in done.stderr
