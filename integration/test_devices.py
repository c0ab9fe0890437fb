"""Devices by name (the Container Device Interface): --device VENDOR/CLASS=DEVICE and --gpus."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness import Cli

RUN = ("run", "--rm", "--network=none")
HOOK = """#!/bin/sh
cat >{state}
echo "$0 $* $COLOUR" >{words}
bundle=$(sed -n 's/.*"bundle":"\\([^"]*\\)".*/\\1/p' {state})
root=$(sed -n 's/.*"root":{{"path":"\\([^"]*\\)".*/\\1/p' "$bundle/config.json")
ln -s libvendor.so.1 "$root/lib/libvendor.so"
exit $STATUS
"""


@pytest.fixture
def described(fresh: Cli, tmp_path: Path) -> Path:
    """A directory with a hook and a library; what describes the devices is where the user has it."""
    directory = Path(fresh.env["HOME"]) / ".config/cdi"
    directory.mkdir(parents=True)
    (tmp_path / "libvendor.so.1").write_text("library")
    hook = tmp_path / "hook"
    hook.write_text(HOOK.format(state=tmp_path / "state", words=tmp_path / "words"))
    hook.chmod(0o755)

    def device(name: str, status: int) -> dict:
        edits = {
            "env": [f"VENDOR={name}"],
            "deviceNodes": [{"path": "/dev/vendor", "hostPath": "/dev/zero"}],
            "mounts": [{"hostPath": f"{tmp_path}/libvendor.so.1", "containerPath": "/lib/libvendor.so.1"}],
            "hooks": [
                {
                    "hookName": "createContainer",
                    "path": str(hook),
                    "args": ["hook", "--link"],
                    "env": ["COLOUR=red", f"STATUS={status}", "PATH=/usr/bin:/bin"],
                }
            ],
        }
        return {"name": name, "containerEdits": edits}

    document = {
        "cdiVersion": "0.6.0",
        "kind": "vendor.com/thing",
        "devices": [device("0", 0), device("bad", 3)],
    }
    (directory / "vendor.json").write_text(json.dumps(document))
    gpu = "kind: nvidia.com/gpu\ndevices:\n- name: all\n  containerEdits:\n    env: [GPU=all]\n"
    (directory / "nvidia.yaml").write_text(gpu)
    return tmp_path


def test_a_device_by_its_name(fresh: Cli, image, described: Path) -> None:
    script = "echo $VENDOR $(head -c2 /dev/vendor | wc -c) $(cat /lib/libvendor.so) $GPU"
    name = "vendor.com/thing=0"
    fresh("run", "--name=c", "--network=none", f"--device={name}", "--gpus=all", image, "sh", "-c", script)
    assert fresh("logs", "c").lines == ["0 2 library all"]
    state = json.loads((described / "state").read_text())
    assert state["id"] == fresh.inspect("c", "{{.Id}}") and state["status"] == "creating"
    assert (described / "words").read_text() == f"{described}/hook --link red\n"
    shown = json.loads(fresh.inspect("c", "{{json .HostConfig.Devices}}"))
    assert [each["PathOnHost"] for each in shown] == [name, "nvidia.com/gpu=all"]
    fresh("start", "-a", "c")  # the hook finds its link there: it is the same writable layer
    fresh("rm", "c")


def test_a_hook_that_fails(fresh: Cli, image, described: Path) -> None:
    done = fresh(*RUN, "--device=vendor.com/thing=bad", image, "true", status=125)
    assert f"hook {described}/hook failed with status 3" in done.stderr
    (described / "hook").unlink()
    done = fresh(*RUN, "--device=vendor.com/thing=bad", image, "true", status=125)
    assert "cannot run hook" in done.stderr
    assert fresh("ps", "-aq").lines == []


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("--device=vendor.com/thing=1", "there is no device vendor.com/thing=1"),
        ("--device=thing=0", "neither a path nor a name"),
        ("--gpus=7", "there is no device nvidia.com/gpu=7"),
        ("--gpus=capabilities=utility", "it names no GPU"),
        # where its hook could be traced, with the host's files at hand, or could not read its own
        ("--device=vendor.com/thing=0 --pid=host", "that nobody shares"),
        ("--device=vendor.com/thing=0 --userns=nomap", "needs your own id"),
    ],
)
def test_devices_that_are_not_there(fresh: Cli, image, described, option: str, reason: str) -> None:
    done = fresh(*RUN, *option.split(), image, "true", status=125)
    assert reason in done.stderr and len(done.stderr.splitlines()) <= 2
    assert fresh("ps", "-aq").lines == []


def test_a_build_has_none(fresh: Cli, described, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    done = fresh("build", "--device=vendor.com/thing=0", str(tmp_path), status=125)
    assert "a build has no devices by name" in done.stderr
