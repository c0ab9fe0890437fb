"""info and version: what scripts probe before they use a container tool."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from daemonless import __version__

Say = Callable[..., str]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{.ServerVersion}}", __version__),
        ("{{.Driver}} {{.OSType}}", "overlay linux"),
        ("{{.Architecture}} {{.KernelVersion}}", f"{os.uname().machine} {os.uname().release}"),
        ("{{.Host.OS}} {{.Host.Kernel}}", f"linux {os.uname().release}"),
        ("{{.Host.Security.Rootless}}", str(os.getuid() != 0).lower()),
        ("{{.Store.GraphDriverName}} {{.Store.ContainerStore.Number}}", "overlay 2"),
        ("{{.Version.Version}}", __version__),
    ],
)
def test_probes(template: str, expected: str, world: Any, say: Say) -> None:
    world.add(1, "one", "2026-11-23T20:01:00Z")
    world.runs(world.add(2, "two", "2026-11-23T20:02:00Z"), "2026-11-23T20:02:00Z")
    assert say("info", "--format", template) == f"{expected}\n"


def test_both_spellings_of_the_cgroup_version_agree(say: Say) -> None:
    docker, podman = say("info", "--format", "{{.CgroupVersion}} {{.Host.CgroupsVersion}}").split()
    assert podman == f"v{docker}"


def test_security_options_say_whether_it_is_rootless(say: Say) -> None:
    options = json.loads(say("info", "--format", "{{json .SecurityOptions}}"))
    assert ("name=rootless" in options) == (os.getuid() != 0)


def test_json_has_podmans_sections(world: Any, say: Say) -> None:
    world.add_image("localhost/x", {})
    world.runs(world.add(2, "two", "2026-11-23T20:02:00Z"), "2026-11-23T20:02:00Z")
    document = json.loads(say("info", "--format", "json"))
    again = json.loads(say("info", "--format", "{{json .}}"))
    assert set(document) == set(again)
    assert document["version"] == again["version"]
    store = document["store"]
    assert (store["graphRoot"], store["runRoot"]) == (world.paths.data, world.paths.run)
    assert store["containerStore"] == {"number": 1, "paused": 0, "running": 1, "stopped": 0}
    assert store["imageStore"] == {"number": 1}
    first = document["host"]["idMappings"]["uidmap"][0]
    assert first == {"container_id": 0, "host_id": os.getuid(), "size": 1}


def test_text_is_yaml_of_the_sections(say: Say) -> None:
    lines = say("info").splitlines()
    assert [line for line in lines if line[0] not in " -"] == ["host:", "store:", "version:"]
    assert f"  kernel: {os.uname().release}" in lines
    assert "      host_id: " + str(os.getuid()) in lines


def test_version(say: Say) -> None:
    assert (
        say("version", "--format", "{{.Server.Version}} {{.Client.Version}}")
        == f"{__version__} {__version__}\n"
    )
    assert json.loads(say("version", "--format", "json"))["Client"]["Version"] == __version__
    assert f"Version:         {__version__}\n" in say("version")
