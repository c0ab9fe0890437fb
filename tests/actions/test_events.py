"""events: what is shown of the log, in whose words, and that no line is lost or shown twice."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemonless import events
from daemonless.actions.eventlog import EventLog
from daemonless.clock import timestamp
from daemonless.config import Paths
from daemonless.errors import UsageError

Say = Callable[..., str]
ONE, TWO = "1" * 64, "2" * 64
ALPINE = "docker.io/library/alpine:latest"
PAST = ("events", "--no-stream")


def at(second: int) -> str:
    return f"2026-11-24T10:00:{second:02}.000000000Z"


@pytest.fixture
def told(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Record one event of each kind, one second after the other."""
    seconds = iter(range(60))
    monkeypatch.setattr(events, "timestamp", lambda: at(next(seconds)))
    web = {"name": "web", "image": ALPINE, "attributes": {"tier": "front", "a": "b"}}
    events.record(paths, "image", "pull", "ab" * 32, name=ALPINE)
    events.record(paths, "container", "create", ONE, **web)
    events.record(paths, "container", "start", ONE, **web)
    events.record(paths, "container", "health_status", ONE, health="healthy", **web)
    events.record(paths, "container", "died", ONE, exitCode=3, **web)
    events.record(paths, "container", "remove", ONE, **web)
    events.record(paths, "volume", "create", "data")
    events.record(paths, "container", "kill", TWO, signal=15, name="db", image="localhost/db:1")
    events.record(paths, "image", "remove", "cd" * 32, name="localhost/db:1")


def test_lines_are_podmans(told: None, say: Say) -> None:
    front = f"container {{}} {ONE} (image={ALPINE}, name=web{{}}, tier=front, a=b)"
    assert say(*PAST).splitlines() == [
        f"2026-11-24 10:00:00.000000000 +0000 UTC image pull {'ab' * 32} {ALPINE}",
        f"2026-11-24 10:00:01.000000000 +0000 UTC {front.format('create', '')}",
        f"2026-11-24 10:00:02.000000000 +0000 UTC {front.format('start', '')}",
        f"2026-11-24 10:00:03.000000000 +0000 UTC {front.format('health_status', ', health_status=healthy')}",
        f"2026-11-24 10:00:04.000000000 +0000 UTC {front.format('died', ', exitCode=3')}",
        f"2026-11-24 10:00:05.000000000 +0000 UTC {front.format('remove', '')}",
        "2026-11-24 10:00:06.000000000 +0000 UTC volume create data",
        f"2026-11-24 10:00:07.000000000 +0000 UTC container kill {TWO} "
        "(image=localhost/db:1, name=db, signal=15)",
        f"2026-11-24 10:00:08.000000000 +0000 UTC image remove {'cd' * 32} localhost/db:1",
    ]
    assert say(*PAST, "--no-trunc=false").splitlines()[1].split()[6] == "1" * 12


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ([], "0 1 2 3 4 5 6 7 8"),
        (["--since", at(6)], "6 7 8"),
        (["--until", at(2)], "0 1 2"),
        (["--since", at(2), "--until", at(3)], "2 3"),
        (["-f", "container=web"], "1 2 3 4 5"),
        (["-f", "container=1111"], "1 2 3 4 5"),
        (["-f", "container=web", "-f", "container=db"], "1 2 3 4 5 7"),
        (["-f", "container=nothing"], ""),
        (["-f", "event=died"], "4"),
        (["-f", "event=die"], "4"),
        (["-f", "event=destroy"], "5"),
        (["-f", "event=remove"], "5 8"),
        (["-f", "event=delete"], "8"),
        (["-f", "status=create"], "1 6"),
        (["-f", "event=create", "-f", "type=container"], "1"),
        (["-f", "event=odd"], ""),
        (["-f", "type=image"], "0 8"),
        (["-f", "type=image", "-f", "type=volume"], "0 6 8"),
        (["-f", "volume=data"], "6"),
        (["-f", "image=alpine"], "0 1 2 3 4 5"),
        (["-f", f"image={ALPINE}", "-f", "type=image"], "0"),
        (["-f", "image=abab"], "0"),
        (["-f", "image=sha256:cdcd"], "8"),
        (["-f", "label=tier"], "1 2 3 4 5"),
        (["-f", "label=tier=front", "-f", "label=a=c"], ""),
        (["-f", "label=tier=front", "-f", "label=a=b", "-f", "event=start"], "2"),
        (["-f", "network=any"], ""),
        (["-f", "daemon=any"], ""),
    ],
)
def test_selection(words: list[str], seconds: str, told: None, say: Say) -> None:
    shown = say(*PAST, *words, "--format", "{{.Time}}")
    assert [line[17:19].lstrip("0") or "0" for line in shown.splitlines()] == seconds.split()


@pytest.mark.parametrize("text", ["odd", "odd=x", "event=", "=x"])
def test_bad_filters(text: str, world: Any) -> None:
    if text == "event=":
        assert world.run(*PAST, "-f", text)[0] == 0
        return
    with pytest.raises(UsageError, match="is not a filter"):
        world.run(*PAST, "-f", text)


def test_bad_times_and_fields(world: Any, told: None) -> None:
    with pytest.raises(UsageError, match="invalid time"):
        world.run(*PAST, "--since", "yesterday")
    with pytest.raises(UsageError, match="can't evaluate field Foo"):
        world.run(*PAST, "--format", "{{.Foo}}")


def test_templates_know_podmans_and_dockers_fields(told: None, say: Say) -> None:
    died = (*PAST, "-f", "event=died", "--format")
    assert say(*died, "{{.Type}} {{.Status}} {{.ID}} {{.Name}} {{.Image}} {{.ContainerExitCode}}") == (
        f"container died {ONE} web {ALPINE} 3\n"
    )
    assert say(*died, "{{.Time}}|{{.TimeNano}}|{{.time}}|{{.timeNano}}") == (
        "2026-11-24 10:00:04.000000000 +0000 UTC|1795514404000000000|1795514404|1795514404000000000\n"
    )
    shown = say(*died, "{{.Action}} {{.Actor.ID}} {{with .Actor.Attributes}}{{.tier}} {{.exitCode}}{{end}}")
    assert shown == f"die {ONE} front 3\n"
    assert say(*PAST, "-f", "event=health_status", "--format", "{{.HealthStatus}}") == "healthy\n"
    assert say(*died, "{{range $k, $v := .Attributes}}{{$k}}={{$v}};{{end}}") == "a=b;tier=front;\n"


def test_json_is_an_object_for_each_line(told: None, say: Say) -> None:
    shown = [json.loads(line) for line in say(*PAST, "--format", "json").splitlines()]
    assert len(shown) == 9
    died = shown[4]
    assert (died["Time"], died["TimeNano"]) == (at(4), 1795514404000000000)
    assert (died["Type"], died["Status"], died["Action"], died["Name"]) == ("container", "died", "die", "web")
    assert died["Actor"]["Attributes"] == {
        "image": ALPINE,
        "name": "web",
        "exitCode": "3",
        "tier": "front",
        "a": "b",
    }
    # decoders that do not tell cases apart, as Go's, must meet each key once
    assert len({key.lower() for key in died}) == len(died)
    assert say(*PAST, "--format", "{{json .}}") == say(*PAST, "--format", "json")


def test_control_characters_stay_out_of_the_terminal(world: Any, say: Say) -> None:
    events.record(world.paths, "container", "start", ONE, name="x", image="y", attributes={"k\x1b": "v\nw"})
    assert say(*PAST).endswith(r"(image=y, name=x, k\x1b=v\nw)" + "\n")


def test_the_end_is_a_time_from_now_on(world: Any) -> None:
    """The stream ends at --until, which a duration puts into the future."""
    world.run("events", "--until", "1ms")
    began = time.monotonic()
    world.run("events", "--until", "30ms")
    assert time.monotonic() - began >= 0.03


# --- the log ----------------------------------------------------------------------------------


def record(paths: Paths, number: int) -> None:
    events.record(paths, "volume", "create", f"v{number}")


def read(log: EventLog) -> list[int]:
    return [int(event["id"][1:]) for event in log.read()]


def test_a_log_that_is_not_there_yet(paths: Paths) -> None:
    log = EventLog(paths.run, from_start=True)
    assert read(log) == []
    record(paths, 1)
    assert read(log) == [1]
    assert read(log) == []
    log.close()


def test_only_new_ones_without_a_time(paths: Paths) -> None:
    record(paths, 1)
    log = EventLog(paths.run, from_start=False)
    record(paths, 2)
    assert read(log) == [2]


def test_every_line_once_across_rotations(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LIMIT", 400)  # four lines
    before = len(os.listdir("/proc/self/fd"))  # other tests may have left some open
    log = EventLog(paths.run, from_start=True)
    seen: list[int] = []
    for number in range(100):
        record(paths, number)
        if number % 7 == 3:  # one rotation between two reads, or two
            seen += read(log)
    seen += read(log)
    assert seen == list(range(100))
    assert len(os.listdir("/proc/self/fd")) <= before + 3


def test_the_file_set_aside_is_read_too(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LIMIT", 400)
    for number in range(7):
        record(paths, number)
    assert Path(paths.run, "events.jsonl.1").exists()
    assert read(EventLog(paths.run, from_start=True)) == list(range(7))


def test_a_straggler_in_the_old_file_is_seen(paths: Paths) -> None:
    """A writer that had the file open when it was set aside still appends to it."""
    record(paths, 1)
    log = EventLog(paths.run, from_start=True)
    path = f"{paths.run}/{events.FILE_NAME}"
    os.rename(path, f"{path}.1")
    record(paths, 3)
    assert read(log) == [1, 3]
    with open(f"{path}.1", "a") as file:
        file.write(json.dumps({"time": at(2), "type": "volume", "action": "create", "id": "v2"}) + "\n")
    assert read(log) == [2]


def test_torn_and_foreign_lines_are_passed_over(paths: Paths) -> None:
    record(paths, 1)
    path = Path(paths.run, events.FILE_NAME)
    with path.open("ab") as file:
        file.write(b'\x00\xff\nnot json\n{"time": 1}\n["time"]\n{"time":"x","type":"y"}\n{"time":"2026')
    record(paths, 2)  # comes to stand on the torn line
    record(paths, 3)
    assert read(EventLog(paths.run, from_start=True)) == [1, 2, 3]


def test_a_line_is_waited_for_until_it_is_whole(paths: Paths) -> None:
    record(paths, 1)
    path = Path(paths.run, events.FILE_NAME)
    line = path.read_bytes()
    path.write_bytes(line + line[:20])
    log = EventLog(paths.run, from_start=True)
    assert read(log) == [1]
    with path.open("ab") as file:
        file.write(line[20:])
    assert read(log) == [1]


def test_waiting_ends_with_a_new_line(paths: Paths) -> None:
    log = EventLog(paths.run, from_start=True)
    record(paths, 1)
    log.wait(None)
    assert read(log) == [1]


def test_without_inotify_the_file_is_polled(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise OSError(24, "too many")

    monkeypatch.setattr("daemonless.syscalls.inotify_init", fail)
    log = EventLog(paths.run, from_start=True)
    record(paths, 1)
    log.wait(None)
    assert read(log) == [1]


def test_recorded_times_are_in_order(paths: Paths) -> None:
    before = timestamp()
    record(paths, 1)
    event = next(EventLog(paths.run, from_start=True).read())
    assert before <= event["time"] <= timestamp()
