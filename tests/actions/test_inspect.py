"""inspect: the keys docker and podman share, and the idioms of scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemonless.containers.request import Device, Health, Mount, Port, Security
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
    (bind,) = value["Mounts"]  # podman tells of --tmpfs in HostConfig only
    assert (bind["Source"], bind["Destination"], bind["RW"], bind["Propagation"]) == (
        "/srv",
        "/data",
        False,
        "rslave",
    )


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


# --- podman's keys, as recorded from podman 4.3.1 -----------------------------------------------

LACKING = {
    "ConmonPidFile": "there is no conmon; the supervisor's pid is in no file of its own",
    "PidFile": "a file of the container's pid is written where --pidfile says, and nowhere else",
    "Config.CreateCommand": "the command line may hold credentials, and would keep them for ever",
    "Config.Passwd": "there is no --passwd: /etc/passwd is the image's",
    "Config.sdNotifyMode": "there is no --sdnotify",
}
OTHER_TYPES = {
    "Config.Entrypoint": "an array, as docker and podman 5 have it",
    "Config.StopSignal": "the name, as docker and podman 5 have it",
}
RECORDED = Path(__file__).parent / "data" / "podman-inspect.txt"


def json_type(value: object) -> str:
    types = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", type(None): "null"}
    return types[type(value)]


def find(value: Any, path: list[str]) -> list[Any]:
    """Return what the container has at a recorded path; `*` and `[]` stand for any member."""
    if not path:
        return [value]
    step, *rest = path
    if step.endswith("[]"):
        entries = [each for entry in find(value, [step[:-2]]) for each in entry or ()]
        return [found for each in entries for found in find(each, rest)]
    if step == "*":
        return [found for each in value.values() for found in find(each, rest)]
    return find(value[step], rest) if isinstance(value, dict) and step in value else []


@pytest.fixture
def rich(world: Any) -> str:
    """Return a container made with the options of the recorded one, as far as inspect shows them."""
    image = world.add_image("localhost/bb:1", {"ExposedPorts": {"81/tcp": {}}, "Entrypoint": ["sh"]})
    mounts = (
        Mount(destination="/data", type="volume", source="vol", options=("rbind", "rprivate")),
        Mount(destination="/srv", type="bind", source="/srv", options=("rbind", "rprivate", "ro")),
        Mount(destination="/tt", type="tmpfs", source="tmpfs", options=("rw",)),
    )
    identifier: str = world.add(
        2,
        "ins",
        CREATED,
        "-c",
        "sleep 1000",
        image_id=image.id,
        mounts=mounts,
        publish=(Port(host_ip="", host_port=8080, container_port=80, protocol="tcp"),),
        annotation=(("an", "no"),),
        devices=(Device(source="/dev/null", destination="/dev/null", writable=True),),
        add_host=(("x", "1.2.3.4"),),
        dns=("1.1.1.1",),
        entrypoint=("sh",),
        cap_drop=("CAP_MKNOD",),
        security=Security(no_new_privileges=True),
        health=Health(test=("CMD-SHELL", "true")),
    )
    (Path(world.paths.data) / "containers" / identifier / "upper").mkdir()
    return identifier


def test_podmans_keys_are_there_with_their_types(rich: str, say: Say) -> None:
    value = show(say, "--size", "ins")
    lacking, different = set(), set()
    for line in RECORDED.read_text().splitlines():
        if line.startswith("#"):
            continue
        path, _, types = line.rpartition(" ")
        found = find(value, path.replace("[].", "[]\0").replace(".", "\0").split("\0"))
        if not found and path.removesuffix("[]").removesuffix("*") == path:
            lacking.add(path)
        if any(json_type(each) not in (*types.split("|"), "null") and types != "null" for each in found):
            different.add(path)
    assert lacking == set(LACKING)
    assert different == set(OTHER_TYPES)


def test_the_comparison_notices(rich: str, say: Say) -> None:
    assert find({"a": [{"b": 1}]}, ["a[]", "b"]) == [1]
    assert find({"a": {"x": [1]}}, ["a", "*"]) == [[1]]
    assert find({"a": {}}, ["a", "b"]) == []


def test_size_and_latest(rich: str, world: Any, say: Say) -> None:
    (Path(world.paths.data) / "containers" / rich / "upper" / "file").write_bytes(bytes(1000))
    assert say("inspect", "--latest", "--size", "--format", "{{.Name}} {{.SizeRw}} {{.SizeRootFs}}") == (
        "ins 1000 1000\n"
    )
    with pytest.raises(UsageError, match="--latest and names"):
        world.run("inspect", "--latest", "ins")
    with pytest.raises(UsageError, match="does not go with --type image"):
        world.run("inspect", "--latest", "--type", "image")


def test_how_the_last_run_ended(web: str, world: Any, say: Say) -> None:
    template = "{{.State.ExitCode}} {{.State.Signal}} {{.State.Error}} {{.RestartCount}}"
    ended = ("inspect", "--format", template, "web")
    assert say(*ended) == "0 0  0\n"
    world.exited(web, 137, STARTED, FINISHED, signal=9, error="why", restarts=2)
    assert say(*ended) == "137 9 why 2\n"
    world.runs(web, STARTED)  # of the run before nothing but its end is told
    assert say(*ended) == "0 0  0\n"
    assert say("inspect", "--format", "{{.State.FinishedAt}}", "web") == f"{FINISHED}\n"


def test_health_and_policy(web: str, world: Any, say: Say) -> None:
    world.runs(web, STARTED)
    log = [{"Start": STARTED, "End": FINISHED, "ExitCode": 0, "Output": "fine"}]
    health = {"schema": 1, "status": "healthy", "failingStreak": 0, "log": log}
    Path(world.paths.run, "containers", web, "health.json").write_text(json.dumps(health))
    record = Path(world.paths.data, "containers", web, "container.json")
    changed = json.loads(record.read_text())
    changed["request"]["restart"] = {"policy": "on-failure", "retries": 3}
    record.write_text(json.dumps(changed))
    value = show(say, "web")
    assert value["State"]["Health"] == {"Status": "healthy", "FailingStreak": 0, "Log": log}
    assert value["Config"]["Healthcheck"] is None
    assert value["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    template = "{{range .State.Health.Log}}{{.ExitCode}} {{.Output}}{{end}}"
    assert say("inspect", "--format", template, "web") == "0 fine\n"
    world.locks.pop().release()
    world.exited(web, 0, STARTED, FINISHED)
    assert show(say, "web")["State"]["Health"] == {"Status": "stopped", "FailingStreak": 0, "Log": log}


def test_how_the_health_is_checked(world: Any, say: Say) -> None:
    health = Health(test=("CMD", "a"), interval=0, start_period=7, on_failure="kill")
    world.add(2, "box", CREATED, health=health)
    world.add(3, "unchecked", CREATED, health=Health(test=("NONE",)))
    config = show(say, "box")["Config"]
    assert config["Healthcheck"] == {
        "Test": ["CMD", "a"],
        "Interval": 0,
        "Timeout": 30 * 10**9,
        "StartPeriod": 7,
        "Retries": 3,
    }
    assert config["HealthcheckOnFailureAction"] == "kill"
    assert show(say, "unchecked")["Config"]["Healthcheck"] == {"Test": ["NONE"]}


def test_exposed_ports_are_among_the_ports(rich: str, say: Say) -> None:
    ports = show(say, "ins")["NetworkSettings"]["Ports"]
    assert ports == {"81/tcp": None, "80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    template = "{{range $port, $where := .NetworkSettings.Ports}}{{$port}} {{end}}"
    assert say("inspect", "--format", template, "ins") == "80/tcp 81/tcp \n"


@pytest.mark.parametrize(
    ("number", "name"), [(0, "SIGTERM"), (10, "SIGUSR1"), (37, "SIGRTMIN+3"), (17, "SIGCHLD")]
)
def test_signals_have_names(number: int, name: str, world: Any, say: Say) -> None:
    world.add(1, "web", CREATED, stop_signal=number)
    assert say("inspect", "--format", "{{.Config.StopSignal}}", "web") == f"{name}\n"


def test_several_objects_of_all_kinds(web: str, world: Any, say: Say) -> None:
    world.add_image("localhost/app:1", {"Cmd": ["serve"]})
    shown = json.loads(say("inspect", "web", "localhost/app:1"))
    assert [("State" in value, "RepoTags" in value) for value in shown] == [(True, False), (False, True)]
    status, out, err = world.run("inspect", "nothing", "web")
    assert (status, len(json.loads(out))) == (125, 1)
    assert err.startswith('Error: no such object: "nothing"')
    assert world.run("inspect", "nothing")[1] == "[]\n"
    assert world.run("inspect", "--type", "volume", "web")[2].startswith("Error: no such volume: web")
