"""The parse table and Typer must say the same of every command line."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from daemonless.commands import compile as table_compiler
from daemonless.commands import parse, table
from daemonless.commands.app import COMMANDS, GROUPS, application, load


@cache
def command(name: str) -> Any:
    return load(name)


def by_typer(name: str, words: list[str]) -> dict[str, Any] | None:
    """Return the values Typer gives, or None if it refuses or only prints help."""
    try:
        context = command(name).make_context(name, list(words))
    except (typer.TyperException, typer.Exit):
        return None
    return dict(context.params)


def positional(name: str) -> list[str]:
    """Return the fewest positional words that satisfy a command."""
    return [
        f"word{index}" for index, (_, _, required) in enumerate(table.COMMANDS[name]["arguments"]) if required
    ]


def sample(kind: Any) -> list[str]:
    """Return values an option of this kind takes."""
    if isinstance(kind, dict):
        kind = kind["choices"]
    if isinstance(kind, tuple):
        return [kind[0], kind[-1]]
    return {"int": ["7", "-1"], "text": ["value", "", "a=b", "--rm", "-"], "list": ["x", "", "k=v=w", "-e"]}[
        kind
    ]


def forms(spelling: str, kind: Any) -> Iterator[list[str]]:
    """Yield every way to write one option."""
    if isinstance(kind, bool):
        yield [spelling]
        for value in ("true", "false", "1", "0", "T", "FALSE"):
            yield [f"{spelling}={value}"]
        yield [spelling, f"{spelling}=false"]
        yield [f"{spelling}=false", spelling]
        return
    if isinstance(kind, dict):  # a value only with an equals sign
        yield [spelling]
        for value in sample(kind):
            yield [f"{spelling}={value}"]
        return
    for value in sample(kind):
        yield [spelling, value]
        yield [f"{spelling}={value}"]
        if len(spelling) == 2 and value and value[0] != "=":
            yield [f"{spelling}{value}"]
    yield [*[spelling, sample(kind)[0]] * 2, f"{spelling}={sample(kind)[-1]}"]


def lines(name: str) -> Iterator[list[str]]:
    """Yield command lines that hold every spelling of every option in every form.

    A line has one spelling of each parameter in one form: nothing on it can hide a mistake in
    something else, as a later `--detach` would hide one in `-d`.
    """
    spellings: dict[str, list[str]] = {}
    for spelling, (parameter, _) in table.COMMANDS[name]["options"].items():
        spellings.setdefault(parameter, []).append(spelling)
    written = [
        [list(forms(spelling, table.COMMANDS[name]["options"][spelling][1])) for spelling in group]
        for group in spellings.values()
    ]
    for number in range(max((len(group) for group in written), default=0)):
        chosen = [group[number] for group in written if number < len(group)]
        for form in range(max(len(ways) for ways in chosen)):
            yield [word for ways in chosen if form < len(ways) for word in ways[form]]


@pytest.mark.parametrize("name", table.COMMANDS)
def test_table_and_typer_agree_on_every_form_of_every_option(name: str) -> None:
    spec = table.COMMANDS[name]
    needed = positional(name)
    for words in ([], *lines(name)):
        line = [*words, *needed]
        expected = by_typer(name, line)
        assert expected is not None, line
        assert parse.parse(spec, line) == expected, line


def test_every_command_and_every_option_is_in_the_table() -> None:
    assert set(COMMANDS) == set(table.COMMANDS)
    for name in COMMANDS:
        declared = {o for p in command(name).params if p.param_type_name == "option" for o in p.opts}
        assert declared <= set(table.COMMANDS[name]["options"])


def test_table_is_up_to_date() -> None:
    written = Path(table.__file__).read_text()
    assert written == table_compiler.source(), "run: python -m daemonless.commands.compile"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("run", ["-it", "--rm", "image", "sh", "-c", "exit 3"]),
        ("run", ["-itd", "image"]),
        ("run", ["-ite", "A=1", "image"]),
        ("run", ["-iteA=1", "image"]),
        ("run", ["-p=80:80", "-p", "81:81", "-p82:82", "image"]),
        ("run", ["-d=false", "-it=true", "image"]),
        ("run", ["image", "--rm", "-x", "--", "y"]),
        ("run", ["--", "image", "--", "-x"]),
        ("run", ["-", "x"]),
        ("run", ["--tls-verify=false", "image"]),
        ("run", ["--rm", "-t", "--rm=false", "-it", "--tty=0", "image"]),
        ("run", ["-e", "-e", "-e", "--", "image"]),
        ("exec", ["-it", "one", "ls", "-la"]),
        ("exec", ["one", "--", "ls"]),
        ("ps", ["-aq", "-n", "3", "--filter=label=foo=bar", "-fname=x"]),
        ("ps", ["-n3"]),
        ("rm", ["one", "-f", "two", "--", "-three"]),
        ("rm", []),
        ("stop", ["--timeout", "3", "one"]),
        ("stop", ["-t-1", "one"]),
        ("kill", ["--signal", "USR1", "one"]),
        ("logs", ["one", "--follow", "--tail=5"]),
        ("inspect", ["-f", "{{.Id}}", "one", "--type=container"]),
    ],
)
def test_table_and_typer_agree_on_whole_lines(name: str, words: list[str]) -> None:
    expected = by_typer(name, words)
    assert expected is not None
    assert parse.parse(table.COMMANDS[name], words) == expected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("run", []),
        ("run", ["--help", "image"]),
        ("run", ["--no-such-option", "image"]),
        ("run", ["-Z", "image"]),
        ("run", ["-iZ", "image"]),
        ("run", ["--rm=maybe", "image"]),
        ("run", ["-d=maybe", "image"]),
        ("run", ["--env"]),
        ("run", ["-e"]),
        ("run", ["--timeout=soon", "image"]),
        ("run", ["--pull=sometimes", "image"]),
        ("exec", []),
        ("ps", ["surplus"]),
        ("ps", ["-n", "many"]),
        ("logs", ["one", "--tail"]),
        ("tag", ["one"]),
    ],
)
def test_what_the_table_refuses_typer_refuses_too(name: str, words: list[str]) -> None:
    assert parse.parse(table.COMMANDS[name], words) is None
    assert by_typer(name, words) is None


_WORDS = st.sampled_from(
    [
        "-i",
        "-it",
        "-e",
        "A=1",
        "--rm",
        "--rm=false",
        "--env=B",
        "--",
        "-",
        "",
        "x",
        "-ti=0",
        "--bogus",
        "-p=1",
        "--pull",
    ]
)


@settings(max_examples=80, deadline=None)
@given(st.lists(_WORDS, max_size=6), st.sampled_from(["run", "exec"]))
def test_table_never_says_anything_else_than_typer(words: list[str], name: str) -> None:
    said = parse.parse(table.COMMANDS[name], words)
    if said is not None:
        assert said == by_typer(name, words)


@pytest.mark.parametrize(
    "line",
    [
        'run centos:6 /bin/echo "Oh hai"',
        "run --interactive --tty fedora /bin/bash",
        'run --detach --name test_labels --label="foo=bar" --label="fizz=buzz" fedora sleep 1000',
        "run -d -p 127.0.0.1:8080:80/tcp -p=443:443 -v /srv:/srv:ro,z -v=/a:/b --restart no",
        'ps --filter="label=foo=bar"',
        "ps --all",
        "exec --tty --interactive 0123456789ab /bin/bash",
        "stop --timeout 3 test_labels",
        "kill --signal USR1 test_labels",
        "logs --follow test_labels",
        "rm 0123456789ab ba9876543210",
        'images --quiet --filter "dangling=true"',
        "pull fedora@sha256:0123",
    ],
)
def test_lines_of_scripts_never_wait_for_typer(line: str) -> None:
    parsed = parse.command_line(shlex.split(line))
    assert (parsed is None) == ("--restart" in line)  # which this version does not have yet


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ps"], ("ps", None, "warn", {})),
        (["--root", "/x", "--log-level=debug", "ps", "-a"], ("ps", "/x", "debug", {"all": True})),
        (["container", "ls", "-a"], ("ps", None, "warn", {"all": True})),
        (["container", "list"], ("ps", None, "warn", {})),
        (["image", "inspect", "x"], ("inspect", None, "warn", {"type": "image", "names": ("x",)})),
        (["container", "inspect", "x"], ("inspect", None, "warn", {"type": "container"})),
        (["image", "rm", "x"], ("rmi", None, "warn", {"images": ("x",)})),
    ],
)
def test_command_line(words: list[str], expected: tuple[str, str | None, str, dict[str, Any]]) -> None:
    parsed = parse.command_line(words)
    assert parsed is not None
    name, values, options = parsed
    wanted_name, root, level, wanted = expected
    assert (name, options["root"], options["log_level"]) == (wanted_name, root, level)
    assert wanted.items() <= values.items()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["frobnicate"],
        ["container"],
        ["container", "frobnicate"],
        ["--root"],
        ["--help"],
        ["-x", "ps"],
    ],
)
def test_command_line_leaves_the_rest_to_typer(words: list[str]) -> None:
    assert parse.command_line(words) is None


def test_groups_of_table_and_application_agree() -> None:
    root = application()
    context = root.make_context("daemonless", ["ps"])
    for group in GROUPS:
        members = root.get_command(context, group)
        for name, (action, fixed) in table.GROUPS[group].items():
            member = members.get_command(context, name)
            assert member.action == action
            assert fixed.items() <= member.make_context(name, positional(action)).params.items()
        assert set(members.list_commands(context)) <= set(table.GROUPS[group])
