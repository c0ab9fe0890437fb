"""ps: columns, filters and formats."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemonless.clock import timestamp
from daemonless.containers.request import Mount, Network, Port
from daemonless.containers.store import Container
from daemonless.errors import NotFound, UsageError

Say = Callable[..., str]
MINUTE = 60 * 10**9


def before(minutes: float) -> str:
    """Return the time that many minutes ago."""
    return timestamp(time.time_ns() - int(minutes * MINUTE) - 10**9)


def port(host: int, inside: int, protocol: str = "tcp", address: str = "") -> Port:
    return Port(host_ip=address, host_port=host, container_port=inside, protocol=protocol)


@pytest.fixture
def three(world: Any) -> Any:
    """Return a store with a created, an exited and a running container, in this order of age."""
    world.add(1, "old", before(200), "/bin/sh", "-c", "echo hello world", label=(("foo", "bar"), ("x", "y")))
    exited = world.add(
        2,
        "done",
        before(60),
        label=(("foo", "baz"),),
        mounts=(Mount(destination="/data", type="bind", source="/srv", options=("rbind",)),),
        network=Network(mode="none"),
        publish=(port(0, 80),),
    )
    world.exited(exited, 3, before(50), before(30))
    running = world.add(3, "web", before(10), "httpd", publish=(port(8000, 80), port(8001, 81)), rm=True)
    world.runs(
        running,
        before(9),
        (
            port(8000, 80).as_dict(),
            port(8001, 81).as_dict(),
            port(53, 53, "udp", "::1").as_dict(),
        ),
    )
    return world


def test_only_running_ones_are_listed_unless_asked(three: Any, say: Say) -> None:
    assert say("ps").splitlines() == [
        "CONTAINER ID  IMAGE                            COMMAND     CREATED         STATUS        "
        "PORTS                                           NAMES",
        "333333333333  docker.io/library/alpine:latest  httpd       10 minutes ago  Up 9 minutes  "
        "0.0.0.0:8000-8001->80-81/tcp, [::1]:53->53/udp  web",
    ]


def test_all_are_listed_oldest_first(three: Any, say: Say) -> None:
    lines = say(
        "ps", "--all", "--format", "table {{.ID}}\t{{.Command}}\t{{.Status}}\t{{.Names}}"
    ).splitlines()
    assert lines == [
        "CONTAINER ID  COMMAND               STATUS                     NAMES",
        "111111111111  /bin/sh -c echo h...  Created                    old",
        "222222222222  sh                    Exited (3) 30 minutes ago  done",
        "333333333333  httpd                 Up 9 minutes               web",
    ]


def test_nothing_to_list(say: Say) -> None:
    assert say("ps", "-aq") == ""
    assert say("ps", "-a", "--format=json") == "[]\n"
    assert say("ps").split() == ["CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert say("ps", "--noheading") == ""


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["-a"], "old done web"),
        (["--latest"], "web"),
        (["-n", "2"], "done web"),
        (["-n", "0"], ""),
        (["--last", "9"], "old done web"),
        (["-a", "--sort", "names"], "done old web"),
        (["-a", "--sort", "status"], "old done web"),
        (["-a", "--sort", "command"], "old web done"),
        (["-a", "--filter=label=foo=bar"], "old"),
        (["-a", "-f", "label=foo"], "old done"),
        (["-a", "-f", "label=foo", "-f", "label=x=y"], "old"),
        (["-a", "-f", "label=of=image"], "old done web"),
        (["-a", "-f", "label!=foo"], "web"),
        (["-a", "-f", "label!=foo=bar"], "done web"),
        (["-a", "-f", "name=o"], "old done"),
        (["-a", "-f", "name=^o"], "old"),
        (["-a", "-f", "name=old", "-f", "name=web"], "old web"),
        (["-a", "-f", "name=o", "-f", "status=exited"], "done"),
        (["-f", "status=exited"], "done"),
        (["-f", "status=stopped"], "done"),
        (["-f", "status=created", "-f", "status=running"], "old web"),
        (["-f", "status=paused"], ""),
        (["-f", "exited=3"], "done"),
        (["-f", "exited=0"], ""),
        (["-a", "-f", "id=22"], "done"),
        (["-a", "-f", "before=done"], "old"),
        (["-a", "-f", "since=done"], "web"),
        (["-a", "-f", "until=1h"], "old done"),
        (["-a", "-f", "volume=/data"], "done"),
        (["-a", "-f", "volume=/srv"], "done"),
        (["-a", "-f", "network=none"], "done"),
        (["-a", "-f", "command=httpd"], "web"),
        (["-a", "-f", "publish=8001"], "web"),
        (["-a", "-f", "publish=50-60/udp"], "web"),
        (["-a", "-f", "publish=53/tcp"], ""),
        (["-a", "-f", "expose=80"], "done web"),
        (["-a", "-f", "expose=79-80/udp"], ""),
        (["-a", "-f", "health=none"], "old done web"),
        (["-a", "-f", "health=healthy"], ""),
        (["-a", "-f", "restart-policy=no"], "old done web"),
        (["-a", "-f", "restart-policy=never"], "old done web"),
        (["-a", "-f", "restart-policy=always"], ""),
        (["-a", "-f", "should-start-on-boot=true"], ""),
        (["-a", "-f", "should-start-on-boot=FALSE"], "old done web"),
        (["-a", "-f", "is-task=false"], "old done web"),
        (["-a", "-f", "is-task=true"], ""),
        (["-a", "-f", "isolation=default"], ""),
        (["-a", "-f", "pod=any"], ""),
    ],
)
def test_selection(words: list[str], names: str, three: Any, say: Say) -> None:
    assert say("ps", *words, "--format", "{{.Names}}").split() == names.split()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("foo", UsageError),
        ("foo=bar", UsageError),
        ("status=odd", UsageError),
        ("exited=odd", UsageError),
        ("publish=http", UsageError),
        ("expose=http", UsageError),
        ("health=fine", UsageError),
        ("restart-policy=odd", UsageError),
        ("should-start-on-boot=perhaps", UsageError),
        ("is-task=odd", UsageError),
        ("name=(", UsageError),
        ("until=tomorrow", UsageError),
        ("before=nothing", NotFound),
        ("ancestor=nothing", NotFound),
    ],
)
def test_bad_filters(text: str, error: type[Exception], three: Any) -> None:
    with pytest.raises(error):
        three.run("ps", "-a", "--filter", text)


def test_ancestors_are_images_and_what_they_are_built_on(world: Any, say: Say) -> None:
    layers = tuple(f"sha256:{digit * 64}" for digit in "123")
    base, built, other = (
        world.add_image(f"localhost/{name}", {"Cmd": [name]}, diff_ids)
        for name, diff_ids in (("base", layers[:1]), ("built", layers[:2]), ("other", layers[2:]))
    )
    world.add(1, "one", before(3), image_id=base.id)
    world.add(2, "two", before(2), image_id=built.id)
    world.add(3, "three", before(1), image_id=other.id)
    for image, names in (("base", ["one", "two"]), ("built", ["two"]), (other.id[7:19], ["three"])):
        name = image if image not in ("base", "built") else f"localhost/{image}"
        assert say("ps", "-a", "-f", f"ancestor={name}", "--format", "{{.Names}}").split() == names


def test_quiet_and_no_trunc(three: Any, say: Say) -> None:
    assert say("ps", "-q") == "333333333333\n"
    assert say("ps", "-q", "--no-trunc") == "3" * 64 + "\n"
    assert "/bin/sh -c echo hello world" in say("ps", "-a", "--no-trunc")


def test_a_command_cannot_write_to_the_terminal(world: Any, say: Say) -> None:
    world.add(1, "evil", before(1), "sh", "-c", "\x1b]0;x\x07\nöl")
    assert say("ps", "-a", "--no-trunc", "--format", "{{.Command}}") == "sh -c \\x1b]0;x\\x07\\nöl\n"
    assert json.loads(say("ps", "-a", "--format", "json"))[0]["Command"][2] == "\x1b]0;x\x07\nöl"


def test_json_has_podmans_keys(three: Any, say: Say) -> None:
    old, done, web = json.loads(say("ps", "-a", "--format", "json"))
    assert (old["State"], old["ExitedAt"], old["StartedAt"]) == ("created", -62135596800, -62135596800)
    assert old["Labels"] == {"of": "image", "foo": "bar", "x": "y"}
    assert done["Id"] == "2" * 64
    assert (done["Exited"], done["ExitCode"], done["Mounts"], done["Networks"]) == (
        True,
        3,
        ["/data"],
        ["none"],
    )
    assert done["ExitedAt"] - done["StartedAt"] == 20 * 60
    assert (web["Pid"], web["AutoRemove"], web["Command"], web["Names"]) == (4242, True, ["httpd"], ["web"])
    assert web["Ports"][0] == {
        "host_ip": "",
        "host_port": 8000,
        "container_port": 80,
        "protocol": "tcp",
        "range": 1,
    }


def test_templates_reach_every_field(three: Any, say: Say) -> None:
    line = json.loads(say("ps", "-l", "--format", "{{json .}}"))
    for field, value in line.items():
        shown = say("ps", "-l", "--format", f"{{{{json .{field}}}}}")
        assert json.loads(shown) == value
    assert say("ps", "-l", "--format", '{{.Label "of"}}|{{.Label "no"}}') == "image|\n"


def test_states_and_health_in_podmans_words(world: Any, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words for every status that Container.status has, whatever leads to it."""
    identifier = world.add(1, "web", before(60))
    world.exited(identifier, 3, before(50), before(30))
    world.runs(identifier, before(20))
    Path(world.paths.run, "containers", identifier, "state.json").unlink()
    shown = {}
    for status in ("paused", "restarting", "stopping", "initialized", "removing"):
        monkeypatch.setattr(Container, "status", status)
        listed = say("ps", "--format", "{{.Names}}") == "web\n"
        shown[status] = (say("ps", "-a", "--format", "{{.Status}}|{{.State}}").strip(), listed)
    assert shown == {
        "paused": ("Paused|paused", True),
        "restarting": ("Restarting (3) 30 minutes ago|restarting", True),
        "stopping": ("Stopping|stopping", True),
        "initialized": ("Initialized|initialized", False),
        "removing": ("Removing|removing", False),
    }


def test_health_is_shown_while_it_runs(three: Any, say: Say) -> None:
    run_directory = Path(three.paths.run, "containers", "3" * 64)
    health = '{"schema": 1, "status": "healthy", "failingStreak": 0, "log": []}'
    (run_directory / "health.json").write_text(health)
    assert say("ps", "--format", "{{.Status}}|{{.HealthStatus}}") == "Up 9 minutes (healthy)|healthy\n"
    assert say("ps", "-q", "-f", "health=healthy") == "333333333333\n"
    (run_directory / "health.json").write_text("{")
    assert say("ps", "--format", "{{.Status}}|{{.HealthStatus}}") == "Up 9 minutes|\n"
    three.locks.pop().release()
    health = '{"schema": 1, "status": "healthy", "failingStreak": 0, "log": []}'
    (run_directory / "health.json").write_text(health)
    assert say("ps", "-l", "--format", "{{.HealthStatus}}") == "\n"


def test_restarts_are_counted_and_filtered(world: Any, say: Say) -> None:
    for number, name, policy in ((1, "a", "always"), (2, "b", "unless-stopped"), (3, "c", "on-failure")):
        identifier = world.add(number, name, before(10 - number))
        path = Path(world.paths.data, "containers", identifier, "container.json")
        record = json.loads(path.read_text())
        record["request"]["restart"] = {"policy": policy, "retries": 3}
        path.write_text(json.dumps(record))
    world.exited("2" * 64, 0, before(5), before(4), restarts=2)
    assert say("ps", "-a", "--format", "{{.Names}}{{.Restarts}}").split() == ["a0", "b2", "c0"]
    names = ("ps", "-a", "--format", "{{.Names}}", "--filter")
    assert say(*names, "restart-policy=unless-stopped").split() == ["b"]
    assert say(*names, "should-start-on-boot=true").split() == ["a", "b"]
    world.exited("2" * 64, 0, before(5), before(4), stoppedByUser=True)
    assert say(*names, "should-start-on-boot=true").split() == ["a"]


def test_exposed_ports_are_the_images(world: Any, say: Say) -> None:
    image = world.add_image("localhost/web", {"ExposedPorts": {"80/tcp": {}, "80/udp": {}, "53": 1, "x": {}}})
    world.add(1, "web", before(2), image_id=image.id)
    world.add(2, "other", before(1))
    shown = say("ps", "-a", "--format", "{{json .ExposedPorts}}").split()
    assert [json.loads(line) for line in shown] == [{"53": ["tcp"], "80": ["tcp", "udp"]}, None]
    assert say("ps", "-a", "--format", "{{.Names}}", "-f", "expose=80/udp") == "web\n"


def test_further_columns(three: Any, say: Say) -> None:
    assert say("ps", "--pod").splitlines()[0].endswith("NAMES       POD ID      PODNAME")
    assert say("ps", "--ns").splitlines() == [
        "CONTAINER ID  NAMES       PID         CGROUPNS    IPC         MNT         NET         PIDNS       "
        "USERNS      UTS",
        "333333333333  web         4242" + " " * 80,
    ]


def test_sizes(three: Any, say: Say) -> None:
    upper = Path(three.paths.data, "containers", "1" * 64, "upper")
    upper.mkdir()
    (upper / "file").write_bytes(bytes(1500))
    assert say("ps", "-a", "--size", "--format", "{{.Names}} {{.Size}}").splitlines() == [
        "old 1.5kB (virtual 1.5kB)",
        "done 0B (virtual 0B)",
        "web 0B (virtual 0B)",
    ]
    assert say("ps", "-as").splitlines()[1].endswith("  old         1.5kB (virtual 1.5kB)")
    assert say("ps", "-aq", "--sort", "size").split()[-1] == "1" * 12
    shown = json.loads(say("ps", "-as", "--format", "json"))
    assert [row["Size"]["rwSize"] for row in shown] == [1500, 0, 0]
    assert json.loads(say("ps", "-a", "--format", "json"))[0]["Size"] is None


def _broken(three: Any, digit: str) -> str:
    path = f"{three.paths.data}/containers/{digit * 64}/container.json"
    return f"Warning: container {digit * 12}: {path} is not valid JSON: "


def test_plain_ps_reads_no_files_of_what_does_not_run(three: Any, say: Say) -> None:
    """However many there are: a thousand stopped containers must not slow down the list of one."""
    for identifier in ("1" * 64, "2" * 64):
        Path(three.paths.data, "containers", identifier, "container.json").write_text("{")
    assert say("ps", "-q") == "333333333333\n"
    assert three.run("ps", "-aq")[2].count("is not valid JSON") == 2
    Path(three.paths.data, "containers", "3" * 64, "container.json").write_text("{")
    _, out, err = three.run("ps", "-q")
    assert out == "" and err.startswith(_broken(three, "3"))


def test_namespaces_are_those_of_the_process(three: Any, say: Say) -> None:
    state = Path(three.paths.run, "containers", "3" * 64, "state.json")
    state.write_text(state.read_text().replace("4242", str(os.getpid())))
    assert say("ps", "--format", "{{.NET}}") == os.readlink("/proc/self/ns/net")[5:-1] + "\n"


def test_a_killed_supervisor_leaves_an_exited_container(three: Any, say: Say) -> None:
    three.runs(three.add(4, "kept", before(5)), before(4))
    for lock in three.locks:
        lock.release()
    assert say("ps", "-l", "--format", "{{.Names}}|{{.Status}}|{{.ExitCode}}|{{.Pid}}") == (
        "kept|Exited (137)|137|0\n"
    )
    # "web" was run with --rm, which its supervisor did not live to do
    assert say("ps", "-a", "--format", "{{.Names}}").split() == ["old", "done", "kept"]


def test_a_damaged_container_does_not_hide_the_others(three: Any) -> None:
    Path(three.paths.data, "containers", "1" * 64, "container.json").write_text("{")
    status, out, err = three.run("ps", "-aq")
    assert (status, out) == (0, "222222222222\n333333333333\n")
    assert err.startswith(_broken(three, "1")) and err.endswith("daemonless rm --force removes it\n")


def test_a_clock_that_was_wrong(world: Any, say: Say) -> None:
    """S-15: times of the future and of 1970 are shown, and decide nothing."""
    world.add(1, "ancient", "1970-01-01T00:00:00.000000000Z")
    ended = world.add(2, "future", before(-60 * 24 * 3650))
    world.exited(ended, 3, before(-60 * 24 * 3650), before(-60 * 24 * 3651))
    lines = say("ps", "-a", "--format", "{{.Names}}|{{.RunningFor}}|{{.Status}}").splitlines()
    assert [line.partition("|")[0] for line in lines] == ["ancient", "future"]
    assert "-" not in lines[1] and "292" not in "".join(lines)
    assert lines[0].startswith("ancient|5")  # decades
