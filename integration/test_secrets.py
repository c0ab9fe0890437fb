"""Secrets: containers get them, and nothing else that we write or print has them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Registry
from harness import Cli
from layouts import busybox_layer, layer, make_layout

NONE = ("run", "--rm", "--network=none")
CANARY = "kanarienvogel-4711"


@pytest.fixture
def secret(cli: Cli) -> Iterator[str]:
    """A secret named `pw` whose value is the canary."""
    yield cli("secret", "create", "pw", "-", input=CANARY).stdout.strip()
    cli("secret", "rm", "--all")


def test_the_life_of_a_secret(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("value")
    first = cli("secret", "create", "--label", "a=b", "first", str(tmp_path / "file")).stdout.strip()
    second = cli("secret", "create", "--env", "second", "VALUE", env={"VALUE": "x"}).stdout.strip()
    assert cli("secret", "ls", "-q").lines == [second, first]
    heading, *rows = cli("secret", "ls").lines
    assert heading.split() == ["ID", "NAME", "DRIVER", "CREATED", "UPDATED"]
    assert [row.split()[:3] for row in rows] == [[second, "second", "file"], [first, "first", "file"]]
    assert cli("secret", "list", "-f", "name=fir", "--format", "{{.Name}}").lines == ["first"]
    [shown] = json.loads(cli("secret", "inspect", "first").stdout)
    assert (shown["ID"], shown["Spec"]["Name"], shown["Spec"]["Labels"]) == (first, "first", {"a": "b"})
    assert cli("secret", "inspect", "-f", "{{.Spec.Name}}", first[:8]).stdout == "first\n"
    assert "exists already" in cli("secret", "create", "first", str(tmp_path / "file"), status=125).stderr
    assert cli("secret", "create", "--ignore", "first", "-", input="new").stdout.strip() == first
    assert cli("secret", "create", "--replace", "first", "-", input="new").stdout.strip() != first
    cli("secret", "exists", "first")
    cli("secret", "exists", "nothing", status=1)
    cli("secret", "rm", "nothing", status=125)
    assert len(cli("secret", "rm", "--ignore", "nothing", "first").lines) == 1
    assert cli("secret", "rm", "--all").lines == [second]


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        (b"", 125, "has 0 bytes"),
        (b"x" * 511_999, 0, ""),
        (b"x" * 512_000, 125, "has 512000 bytes"),
        (b"x" * 2_000_000, 125, "bytes"),
    ],
)
def test_sizes(cli: Cli, given: bytes, status: int, said: str) -> None:
    assert said in cli("secret", "create", "sized", "-", input=given, status=status).stderr
    cli("secret", "rm", "--ignore", "sized")


TABLE = [
    ("--secret pw", "cat /run/secrets/pw; stat -c ' %a %u %g' /run/secrets/pw", f"{CANARY} 444 0 0\n"),
    ("-u 5 --secret pw", "cat /run/secrets/pw", CANARY),
    ("--secret pw", "echo x >/run/secrets/pw || echo no", "no\n"),
    ("--read-only --secret pw", "cat /run/secrets/pw", CANARY),
    ("-u 7 --secret pw,target=key,uid=7,gid=8,mode=0400", "cd /run/secrets; cat key; stat -c ' %a %u %g' key",
     f"{CANARY} 400 7 8\n"),
    ("--secret pw,target=/etc/key", "cat /etc/key", CANARY),
    ("-u 7 --secret pw --secret pw,target=own,uid=7,mode=0400 --secret pw,target=roots,mode=0400",
     "cd /run/secrets; cat pw; cat own; cat roots || echo; stat -c '%a %u' *",
     f"{CANARY}{CANARY}\n400 7\n444 0\n400 0\n"),
    ("--secret pw,type=env", "echo $pw", f"{CANARY}\n"),
    ("-e V=other --secret pw,type=env,target=V", "echo $V", f"{CANARY}\n"),
    ("--secret pw --secret pw,type=env,target=V", "cat /run/secrets/pw; echo $V", f"{CANARY}{CANARY}\n"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "command", "out"), TABLE, ids=[row[0] for row in TABLE])
def test_containers_get_it(cli: Cli, image: str, secret: str, options: str, command: str, out: str) -> None:
    assert cli(*NONE, *options.split(), image, "sh", "-c", command).stdout == out


def test_a_container_keeps_the_value_it_was_created_with(cli: Cli, image: str, secret: str) -> None:
    options = ("--network=none", "--name", "c", "--secret", "pw", "--secret", "pw,type=env,target=V")
    cli("create", *options, image, "sh", "-c", "cat /run/secrets/pw; echo $V")
    cli("secret", "create", "--replace", "pw", "-", input="another value")
    for _ in range(2):
        assert cli("start", "-a", "c").stdout == f"{CANARY}{CANARY}\n"


def test_what_is_wrong_is_said(cli: Cli, image: str, secret: str) -> None:
    assert "no such secret: nothing" in cli("create", "--secret", "nothing", image, status=125).stderr
    twice = cli("create", "--secret", "pw", "--tmpfs", "/run/secrets/pw", image, status=125)
    assert "two mounts" in twice.stderr
    unmapped = cli(*NONE, "--secret", "pw,uid=4000000000", image, "true", status=125)
    assert "4000000000:0: the id is not mapped" in unmapped.stderr
    cli("secret", "create", "nul", "-", input=b"a\0b")
    assert "NUL" in cli("create", "--secret", "nul,type=env", image, status=125).stderr
    cli(*NONE, "--secret", "nul", image, "true")


def test_canary_the_value_is_in_no_file_and_no_output(cli: Cli, image: str, secret: str) -> None:
    """Both kinds, in use: records, logs, events, layers, inspections and messages are searched."""
    options = ("--network=none", "--name", "c", "--secret", "pw", "--secret", "pw,type=env,target=V")
    script = 'test "$V" = "$(cat /run/secrets/pw)" && sleep 1000'
    cli("--log-level=debug", "run", "-d", *options, image, "sh", "-c", script)
    seen = cli("exec", "c", "sh", "-c", 'echo "${#V}"; wc -c </run/secrets/pw')
    assert seen.stdout.split() == [str(len(CANARY))] * 2
    said = [
        cli(*command, status=None)
        for command in (
            ("inspect", "c"),
            ("--log-level=debug", "inspect", "--format", "{{json .}}", "c"),
            ("logs", "c"),
            ("ps", "-a", "--no-trunc", "--format", "json"),
            ("secret", "inspect", "pw"),
            ("secret", "ls", "--format", "json"),
            ("diff", "c"),
            ("events", "--stream=false", "--since", "1h", "--format", "json"),
            ("exec", "c", "/no/such/command"),
            ("commit", "c", "committed"),
            ("inspect", "committed"),
            ("export", "c"),
        )
    ]
    assert not [result for result in said if CANARY in result.stdout + result.stderr]
    assert all(result.status in (0, 127) for result in said), "\n".join(map(str, said))
    files = _files_with_canary(cli)
    assert files == {"secret.0", "secret.1"}
    own = os.readlink("/proc/self/ns/pid")
    for pid in filter(str.isdigit, os.listdir("/proc")):  # the supervisor and its helpers
        try:
            if os.readlink(f"/proc/{pid}/ns/pid") != own:
                continue
            told = b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
        except OSError:
            continue
        assert CANARY.encode() not in told
    cli("stop", "--time", "0", "c")
    assert _files_with_canary(cli) == {"secret.0", "secret.1"}
    cli("rm", "c")
    cli("rmi", "committed")
    assert _files_with_canary(cli) == set()


def _files_with_canary(cli: Cli) -> set[str]:
    """Return the names of the files we wrote that hold the value, as it is or in base64."""
    patterns = [CANARY, "a2FuYXJpZW52b2dlbC00NzEx"]
    grep = ["unshare", "--map-root-user", "--map-auto", "grep", "-rlaF", "--devices=skip"]
    words = [word for pattern in patterns for word in ("-e", pattern)]
    places = [str(cli.root), str(cli.runroot), cli.env["XDG_CACHE_HOME"], cli.env["HOME"]]
    found = subprocess.run([*grep, *words, *places], capture_output=True, text=True).stdout.splitlines()
    return {os.path.basename(path) for path in found if os.path.dirname(path) != str(cli.root / "secrets")}


def test_cve_2025_9566_a_secret_is_never_written_through_a_planted_link(
    cli: Cli, registry: Registry, scratch: Path, tmp_path: Path, secret: str
) -> None:
    """A container plants links where the next one's secret is mounted, an image does the same."""
    canary = tmp_path / "of-the-host"
    canary.write_text("unchanged")
    links = layer({}, {"run/secrets/pw": f"/../..{canary}", "opt": f"/../..{tmp_path}"})
    name = registry.push(make_layout(scratch / "planted", [busybox_layer(), links]), "planted:1")
    cli("pull", "--tls-verify=false", name)
    plant = f"ln -s /../..{canary} /v/key; ln -s ../../..{tmp_path} /v/dir"
    cli(*NONE, "-v", "shared:/v", name, "sh", "-c", plant)
    for target in ("pw", "/opt/new", "/v/key", "/v/dir/new"):
        options = ("-v", "shared:/v", "--secret", f"pw,target={target}")
        path = target if target.startswith("/") else f"/run/secrets/{target}"
        result = cli(*NONE, *options, name, "cat", path, status=None)
        assert result.stdout in (CANARY, ""), str(result)
    assert canary.read_text() == "unchanged"
    assert os.listdir(tmp_path) == ["of-the-host"]
    assert CANARY not in Path("/proc/self/mountinfo").read_text()
