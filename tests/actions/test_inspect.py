"""inspect: the keys docker and podman share, and the idioms of scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from daemonless.containers.request import Mount, Port, Security
from daemonless.errors import UsageError

Say = Callable[..., str]
CREATED, STARTED, FINISHED = (f"2026-11-23T20:0{minute}:00.000000001Z" for minute in (1, 2, 3))
PUBLISHED = Port(host_ip="", host_port=0, container_port=80, protocol="tcp")


@pytest.fixture
def web(world: Any) -> str:
    identifier: str = world.add(
        1,
        "web",
        CREATED,
        "httpd",
        "-f",
        publish=(PUBLISHED,),
        mounts=(
            Mount(destination="/data", type="bind", source="/srv", options=("rbind", "rslave", "ro")),
            Mount(destination="/scratch", type="tmpfs", source="tmpfs", options=("size=1m",)),
        ),
        label=(("a.b", "x"),),
        security=Security(seccomp="unconfined", no_new_privileges=True),
        env=("A=1",),
        hostname="box",
        interactive=True,
        cap_drop=("CAP_CHOWN",),
    )
    return identifier


def show(say: Say, *words: str) -> dict[str, Any]:
    (value,) = json.loads(say("inspect", *words))
    assert isinstance(value, dict)
    return value


def test_a_created_container(web: str, say: Say) -> None:
    value = show(say, "web")
    assert (value["Id"], value["Name"], value["Created"]) == (web, "web", CREATED)
    assert (value["Path"], value["Args"]) == ("httpd", ["-f"])
    assert (value["Image"], value["ImageName"]) == ("ab" * 32, "docker.io/library/alpine:latest")
    assert value["State"]["Status"] == "created"
    assert value["State"]["StartedAt"] == value["State"]["FinishedAt"] == "0001-01-01T00:00:00Z"
    assert value["GraphDriver"]["Data"] == {"LowerDir": "/l2:/l1", "UpperDir": "/u", "WorkDir": "/w"}
    assert value["OCIConfigPath"].endswith(f"{web}/config.json")
    config, host = value["Config"], value["HostConfig"]
    assert config["Labels"] == {"of": "image", "a.b": "x"}
    assert {"A=1", "PATH=/bin"} <= set(config["Env"])
    assert (config["Hostname"], config["OpenStdin"], config["Tty"]) == ("box", True, False)
    assert (config["Cmd"], config["Entrypoint"]) == (["httpd", "-f"], None)
    assert host["Binds"] == ["/srv:/data:rbind,rslave,ro"]
    assert host["Tmpfs"] == {"/scratch": "size=1m"}
    assert host["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": ""}]}
    assert host["SecurityOpt"] == ["no-new-privileges", "seccomp=unconfined"]
    assert host["CapDrop"] == ["CAP_CHOWN"]
    assert "CAP_CHOWN" not in value["EffectiveCaps"]
    bind, tmpfs = value["Mounts"]
    assert (bind["Source"], bind["Destination"], bind["RW"], bind["Propagation"]) == (
        "/srv",
        "/data",
        False,
        "rslave",
    )
    assert (tmpfs["Type"], tmpfs["Source"], tmpfs["RW"]) == ("tmpfs", "", True)


def test_a_running_container(web: str, world: Any, say: Say) -> None:
    world.runs(web, STARTED, (PUBLISHED.replace(host_port=40123).as_dict(),))
    value = show(say, "web")
    state, network = value["State"], value["NetworkSettings"]
    assert (state["Status"], state["Running"], state["Pid"]) == ("running", True, 4242)
    assert (state["StartedAt"], state["FinishedAt"]) == (STARTED, "0001-01-01T00:00:00Z")
    assert network["Ports"] == {"80/tcp": [{"HostIp": "", "HostPort": "40123"}]}
    assert network["Networks"]["slirp4netns"]["IPAddress"] == network["IPAddress"] == "10.0.2.100"
    assert network["Gateway"] == "10.0.2.2"


def test_an_exited_container(web: str, world: Any, say: Say) -> None:
    world.exited(web, 137, STARTED, FINISHED, oom=True)
    state = show(say, "web")["State"]
    assert (state["Status"], state["Running"], state["Pid"], state["ExitCode"]) == ("exited", False, 0, 137)
    assert (state["StartedAt"], state["FinishedAt"], state["OOMKilled"]) == (STARTED, FINISHED, True)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{.Id}}", "1" * 64),
        ("{{.State.Running}} {{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}", "true running 0 4242"),
        ("{{.State.Health.Status}}", ""),
        ("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "10.0.2.100"),
        ('{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', "40123"),
        ("{{range .Mounts}}{{.Source}}{{end}}", "/srv"),
        ("{{.Config.Labels}}", "map[a.b:x of:image]"),
        ('{{index .Config.Labels "a.b"}}', "x"),
        ("{{json .Config.Cmd}}", '["httpd","-f"]'),
        ("{{.HostConfig.NetworkMode}}", "slirp4netns"),
        ("{{.HostConfig.RestartPolicy.Name}}", "no"),
        ("{{.Name}}", "web"),
    ],
)
def test_idioms_of_scripts(template: str, expected: str, web: str, world: Any, say: Say) -> None:
    world.runs(web, STARTED, (PUBLISHED.replace(host_port=40123).as_dict(),))
    assert say("inspect", "--format", template, "1111") == f"{expected}\n"


def test_an_image(world: Any, say: Say) -> None:
    image = world.add_image(
        "localhost:5000/team/app:1", {"Cmd": ["serve"], "User": "7"}, ("sha256:" + "1" * 64,)
    )
    value = show(say, "localhost:5000/team/app:1")
    assert value["Id"] == image.id.removeprefix("sha256:")
    assert value["RepoTags"] == ["localhost:5000/team/app:1"]
    assert value["RepoDigests"] == [f"localhost:5000/team/app@{image.digest}"]
    assert (value["Os"], value["Architecture"], value["Size"]) == ("linux", "amd64", 1234)
    assert (value["Created"], value["User"]) == ("2026-11-20T10:00:00Z", "7")
    assert value["RootFS"] == {"Type": "layers", "Layers": ["sha256:" + "1" * 64]}
    assert (value["Config"]["Cmd"], value["Config"]["Entrypoint"]) == (["serve"], None)
    template = "{{index .RepoDigests 0}} {{.Config.User}} {{json .Config.Labels}}"
    assert say("inspect", "-f", template, image.id) == f"{value['RepoDigests'][0]} 7 {{}}\n"


def test_a_container_tells_its_images_entrypoint(world: Any, say: Say) -> None:
    image = world.add_image("localhost/app", {"Entrypoint": ["/init"], "Cmd": ["serve"]})
    world.add(2, "plain", CREATED, image_id=image.id)
    world.add(3, "other", CREATED, "ls", image_id=image.id)
    world.add(4, "cleared", CREATED, "ls", entrypoint=(), image_id=image.id)
    for name, entrypoint, command in (
        ("plain", ["/init"], ["serve"]),
        ("other", ["/init"], ["ls"]),
        ("cleared", None, ["ls"]),
    ):
        config = show(say, name)["Config"]
        assert (config["Entrypoint"], config["Cmd"]) == (entrypoint, command)


def test_a_name_that_is_both_is_a_container(web: str, world: Any, say: Say) -> None:
    world.add_image("docker.io/library/web", {})
    assert show(say, "web")["Id"] == web
    assert show(say, "--type=image", "web")["Os"] == "linux"


@pytest.mark.parametrize("words", [[], ["--type=container"], ["--type=image"], ["--format", "{{.Id}}"]])
def test_a_missing_object(words: list[str], world: Any) -> None:
    status, out, err = world.run("inspect", *words, "nothing")
    assert status == 125
    assert out == ("" if "--format" in words else "[]\n")
    assert "nothing" in err and "Hint: " in err


def test_what_exists_is_shown_though_something_is_missing(web: str, world: Any) -> None:
    status, out, err = world.run("inspect", "nothing", "web", "Not A Name")
    assert (status, [value["Id"] for value in json.loads(out)]) == (125, [web])
    assert err.count("Error: no such object") == 2


def test_a_container_is_no_image(web: str, world: Any) -> None:
    assert world.run("inspect", "--type=image", "web")[0] == 125


def test_no_name_is_a_mistake(world: Any) -> None:
    with pytest.raises(UsageError):
        world.run("inspect")


def test_an_unknown_field_is_a_mistake(web: str, world: Any) -> None:
    with pytest.raises(UsageError):
        world.run("inspect", "--format", "{{.Bogus}}", "web")
