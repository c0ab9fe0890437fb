"""inspect of real objects, with the templates that scripts use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness import Cli, eventually

RUN = ("run", "--detach", "--network=none")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{.State.Running}}", "true"),
        ("{{.State.Status}}", "running"),
        ("{{.State.ExitCode}}", "0"),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ("{{.HostConfig.AutoRemove}} {{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}", "false 0 0"),
        ("{{.HostConfig.RestartPolicy.Name}}", "no"),
        ('{{index .Config.Labels "a.b"}}', "c"),
        ("{{json .Config.Cmd}}", '["sleep","100"]'),
        ("{{range .Mounts}}{{.Type}} {{.Destination}}{{end}}", "bind /host"),
        ("{{len .Mounts}}", "1"),
        ("{{range $k, $v := .NetworkSettings.Networks}}{{$k}}{{end}}", "none"),
        ("{{.Config.StopSignal}} {{.Config.Image}}", "SIGTERM daemonless.local/starter-busybox:latest"),
        ("{{.State.StoppedByUser}} {{.RestartCount}}", "false 0"),
        ("{{printf \"%.12s\" .Id | len}}", "12"),
    ],
)  # fmt: skip
def test_templates_of_scripts(template: str, expected: str, cli: Cli, image: str) -> None:
    cli(*RUN, "--name", "web", "--label", "a.b=c", "-v", "/:/host:ro", image, "sleep", "100")
    assert cli.inspect("web", template) == expected


def test_what_only_a_dockerfile_sets(cli: Cli, image: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f'FROM {image}\nSHELL ["/bin/ash", "-c"]\nONBUILD RUN true\n')
    built = cli("build", "--quiet", str(tmp_path)).stdout.strip()
    assert cli.inspect(built, "{{json .Config.OnBuild}} {{json .Config.Shell}}") == (
        '["RUN true"] ["/bin/ash","-c"]'
    )
    assert cli.inspect(image, "{{json .Config.OnBuild}} {{json .Config.Shell}}") == "null null"


def test_the_process_is_the_containers(cli: Cli, image: str) -> None:
    cli(*RUN, "--name", "web", image, "sleep", "100")
    pid = cli.inspect("web", "{{.State.Pid}}")
    assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\x00100\x00"
    assert cli.inspect("web", "{{.NetworkSettings.SandboxKey}}") == f"/proc/{pid}/ns/net"
    parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    assert cli.inspect("web", "{{.State.ConmonPid}}") == parent


@pytest.mark.parametrize(
    ("script", "code", "number"), [("exit 3", 3, 0), ("kill -9 $$", 137, 9), ("kill -TERM $$", 143, 15)]
)
def test_how_a_run_ended(script: str, code: int, number: int, cli: Cli, image: str) -> None:
    script = script if code == 3 else f"trap - TERM; {script}"
    cli("run", "--init", "--name", "done", "--network=none", image, "sh", "-c", script, status=None)
    state = json.loads(cli("container", "inspect", "done").stdout)[0]["State"]
    assert (state["Status"], state["ExitCode"], state["Running"], state["Pid"]) == ("exited", code, False, 0)
    assert state["Signal"] in (0, number)  # of the container's first process, which --init is
    assert "0001" < state["StartedAt"] < state["FinishedAt"]


def test_the_last_exits_with_their_reasons(cli: Cli, image: str) -> None:
    """Of runs by hand and by the restart policy; ten of them are kept, the newest first."""
    script = "[ -e /n ] || echo 1 >/n; read n </n; echo $((n + 1)) >/n; exit $n"
    cli("create", "--name", "often", "--network=none", image, "sh", "-c", script)
    for number in range(1, 13):
        cli("start", "--attach", "often", status=number)
    exits = json.loads(cli.inspect("often", "{{json .State.LastExits}}"))
    assert [each["ExitCode"] for each in exits] == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3]
    times = [time for each in exits for time in (each["FinishedAt"], each["StartedAt"])]
    assert times == sorted(times, reverse=True)
    cli(
        "run",
        "-d",
        "--name",
        "again",
        "--restart=on-failure:2",
        "--network=none",
        image,
        "sh",
        "-c",
        "exit 7",
    )
    cli("wait", "again")
    shown = "{{range .State.LastExits}}{{.ExitCode}} {{.StoppedByUser}},{{end}}"
    assert cli.inspect("again", shown) == "7 false," * 3
    cli(*RUN, "--name", "stopped", image, "sleep", "1000")
    cli("stop", "-t", "0", "stopped")
    assert cli.inspect("stopped", shown) == "137 true,"


def test_a_failed_start_leaves_its_reason(cli: Cli, image: str) -> None:
    cli("create", "--name", "bad", "--network=none", image, "/nothing/here")
    cli("start", "bad", status=127)
    assert "/nothing/here" in cli.inspect("bad", "{{.State.Error}}")
    assert cli.inspect("bad", "{{.State.ExitCode}} {{.State.Status}}") == "127 created"


def test_sizes(cli: Cli, image: str) -> None:
    cli(*RUN, "--name", "writer", image, "sh", "-c", "head -c 5000 /dev/zero >/file; sleep 100")
    size = ("inspect", "--size", "--format", "{{.SizeRw}}", "writer")
    eventually(lambda: cli(*size).stdout == "5000\n")
    assert "SizeRw" not in cli("inspect", "writer").stdout
    whole = int(cli("inspect", "--latest", "--size", "--format", "{{.SizeRootFs}}").stdout)
    assert whole > 100_000


def test_objects_of_all_kinds_and_missing_ones(cli: Cli, image: str, tmp_path: Path) -> None:
    file = tmp_path / "id"
    cli("create", "--name", "one", "--cidfile", str(file), "--network=none", image, "true")
    cli("volume", "create", "data")
    found = json.loads(cli("inspect", "one", image, "data").stdout)
    assert [value.get("Name") for value in found] == ["one", None, "data"]
    assert found[0]["HostConfig"]["ContainerIDFile"] == str(file)
    assert cli("ps", "-a", "--format", "{{.CIDFile}}").stdout == f"{file}\n"
    cli("volume", "rm", "data")
    missing = cli("inspect", "data", "one", status=125)
    assert len(json.loads(missing.stdout)) == 1
    assert missing.stderr.startswith('Error: no such object: "data"\n')
    assert cli("container", "inspect", image, status=125).stdout == "[]\n"
    assert cli("image", "inspect", "one", status=125).stdout == "[]\n"
    assert cli("inspect", "--format", "{{.Nothing}}", "one", status=125).stdout == ""
