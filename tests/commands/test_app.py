"""Help, mistakes and completion: what Typer is loaded for."""

from __future__ import annotations

import importlib
import inspect
import keyword
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from daemonless import __version__
from daemonless.__main__ import run as run_words
from daemonless.commands import table
from daemonless.commands.app import COMMANDS, GROUPS, invoke, load
from daemonless.commands.create import create
from daemonless.commands.run import run
from daemonless.config import Paths
from daemonless.errors import UsageError


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["ps", "--bogus"], "unknown flag: --bogus", "see 'daemonless ps --help'"),
        (["ps", "--quite"], "unknown flag: --quite", "did you mean --quiet?"),
        (
            ["buildx", "create", "--use"],
            "unrecognized command `daemonless buildx create`",
            "there is one builder, with nothing to set up: daemonless buildx build",
        ),
        (["run", "-Z", "image"], "unknown shorthand flag: -Z", "see 'daemonless run --help'"),
        (["run"], "missing argument 'IMAGE'", "see 'daemonless run --help'"),
        (["run", "-v"], "option '-v' requires an argument", "see 'daemonless run --help'"),
        (["--root"], "option '--root' requires an argument", "see 'daemonless --help'"),
        (
            ["container", "ls", "x"],
            "got unexpected extra argument(s) (x)",
            "see 'daemonless container ls --help'",
        ),
        (["pss"], "unrecognized command `daemonless pss`", "did you mean `daemonless ps`?"),
        (["swarm"], "unrecognized command `daemonless swarm`", "see 'daemonless --help'"),
        (
            ["image", "rmm"],
            "unrecognized command `daemonless image rmm`",
            "did you mean `daemonless image rm`?",
        ),
    ],
)
def test_mistakes_are_told_in_one_line(words: list[str], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        invoke(words)
    assert (raised.value.message, raised.value.hint) == (message, hint)
    assert raised.value.exit_status == 125


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["ps", "-n", "x"], "'--last'"),
        (["ps", "--sort", "x"], "'runningfor'"),
        (["run", "--pull=x", "i"], "'missing'"),
    ],
)
def test_bad_values_name_the_option_and_what_it_takes(words: list[str], part: str) -> None:
    with pytest.raises(UsageError) as raised:
        invoke(words)
    assert part in raised.value.message


@pytest.fixture
def help_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that gives the help of a command as one line of words."""
    monkeypatch.setenv("COLUMNS", "300")

    def ask(*words: str) -> str:
        assert invoke([*words, "--help"]) == 0
        return " ".join(capsys.readouterr().out.replace("│", " ").split())

    return ask


def words_for(name: str) -> tuple[str, ...]:
    """Return what a person types for a command: its name, or its group and its name in there."""
    if "_" not in name:
        return (name,)
    return next(
        (group, member)
        for group, (_, entries) in GROUPS.items()
        for member, entry in entries.items()
        if entry.command == name
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_every_option_in_full(name: str, help_of: Callable[..., str]) -> None:
    """Square brackets in a help text would be markup to rich, and vanish."""
    shown = help_of(*words_for(name))
    for spelling in table.COMMANDS[name]["options"]:
        assert spelling in shown
    module = importlib.import_module(f"daemonless.commands.{name}")
    function = getattr(module, name + "_" * keyword.iskeyword(name))
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        for info in getattr(parameter.annotation, "__metadata__", ()):
            assert " ".join(info.help.split()) in shown
            assert info.help.endswith(".")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_lines_where_the_terminal_does(name: str) -> None:
    assert all("\n" not in paragraph for paragraph in load(name).help.split("\n\n"))


def test_help_lists_every_command(help_of: Callable[..., str]) -> None:
    shown = help_of()
    for name in (*COMMANDS, *GROUPS):
        assert (f" {name} " in shown) is ("_" not in name)


def test_groups_show_their_own_names(help_of: Callable[..., str]) -> None:
    shown = help_of("container")
    assert " ls " in shown
    assert " ps " not in shown


def test_no_command_prints_the_help() -> None:
    with pytest.raises(UsageError, match="missing command"):
        invoke([])


def test_create_has_all_of_run_but_what_needs_a_running_process() -> None:
    of_run, of_create = (set(inspect.signature(f, eval_str=True).parameters) for f in (run, create))
    assert of_run - of_create == {
        "detach",
        "detach_keys",
        "pidfile",
        "preserve_fd",
        "preserve_fds",
        "sig_proxy",
    }
    assert of_create < of_run


@pytest.mark.parametrize("words", [["--version"], ["-v", "ps", "--bogus"]])
def test_version_is_the_same_with_and_without_typer(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_words(words) == 0
    hot = capsys.readouterr().out
    assert invoke(words[:1]) == 0
    assert capsys.readouterr().out == hot == f"daemonless version {__version__}\n"


# --- completion -----------------------------------------------------------------------------


def complete(line: str, paths: Paths) -> list[str]:
    """Ask for completions the way the scripts do."""
    environment = {
        **os.environ,
        "_DAEMONLESS_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": line,
        "DAEMONLESS_ROOT": paths.data,
        "DAEMONLESS_RUNROOT": paths.run,
    }
    done = subprocess.run(
        [sys.executable, "-m", "daemonless"], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return [answer.partition("\t")[0] for answer in done.stdout.splitlines()]


def add_name(paths: Paths, name: str, identifier: str) -> None:
    for directory in (f"{paths.data}/names", f"{paths.data}/containers/{identifier}"):
        Path(directory).mkdir(parents=True, exist_ok=True)
    Path(f"{paths.data}/names/{name}").symlink_to(identifier)


def test_completion_knows_commands_options_and_containers(paths: Paths) -> None:
    add_name(paths, "web", "ab" * 32)
    add_name(paths, "worker", "cd" * 32)
    assert complete("daemonless run --tls", paths) == ["--tls-verify"]
    assert complete("daemonless st", paths) == ["start", "stop"]
    assert complete("daemonless stop w", paths) == ["web", "worker"]
    assert complete("daemonless rm web cd", paths) == ["cd" * 6]


def test_completion_reads_the_dockerfile(paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("ARG base=x\nFROM $base AS one\nARG inner\nFROM $base AS two\n")
    (tmp_path / "broken").write_text("FROM\n")
    assert complete(f"daemonless build {tmp_path} --target ", paths) == ["one", "two"]
    assert complete(f"daemonless build -f {tmp_path}/Dockerfile --build-arg i", paths) == ["inner="]
    for broken in (f"-f {tmp_path}/broken", f"-f {tmp_path}/none", f"{tmp_path}/none", "-f -", "http://a/b"):
        assert not any(complete(f"daemonless build {broken} --target ", paths))


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_script_completes_after_a_colon(tmp_path: Path) -> None:
    """Bash counts a colon as the end of a word, so only what follows it may be answered."""
    script = subprocess.run(
        [sys.executable, "-m", "daemonless", "completion", "bash"], capture_output=True, text=True, check=True
    ).stdout
    fake = tmp_path / "daemonless"
    fake.write_text("#!/bin/sh\nprintf 'alpine:3.20\\thelp\\nalpine:3.21\\t\\n'\n")
    fake.chmod(0o755)
    lines = [
        script,
        "COMP_LINE='daemonless run alpine:3'; COMP_POINT=${#COMP_LINE}",
        f"_daemonless_completion {fake}",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    done = subprocess.run(["bash", "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3.20", "3.21"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["completion", shell]) == 0
    assert "_DAEMONLESS_COMPLETE" in capsys.readouterr().out


def test_completion_refuses_an_unknown_shell() -> None:
    with pytest.raises(UsageError, match="tcsh"):
        invoke(["completion", "tcsh"])
