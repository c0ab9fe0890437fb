"""Choosing containers: names, files, --all, --latest, --filter; and what goes wrong with some of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemonless.actions.args import Args
from daemonless.actions.selection import for_each_container
from daemonless.containers.store import Container
from daemonless.errors import Conflict, NotFound, UsageError

ONE, TWO, THREE = "1" * 64, "2" * 64, "3" * 64


@pytest.fixture
def three(world: Any) -> Any:
    """Return a store with a created, an exited and a running container, in this order of age."""
    world.add(1, "old", "2026-11-01T10:00:00.000000000Z", label=(("tier", "db"),))
    world.add(2, "done", "2026-11-02T10:00:00.000000000Z")
    world.exited(TWO, 3, "2026-11-02T10:00:00.000000000Z", "2026-11-02T11:00:00.000000000Z")
    world.add(3, "web", "2026-11-03T10:00:00.000000000Z")
    world.runs(THREE, "2026-11-03T10:00:00.000000000Z")
    return world


def is_running(container: Container) -> bool:
    return container.is_running


def select(world: Any, *names: str, **options: Any) -> tuple[int, list[str]]:
    """Run the loop over containers; return the status and what was printed."""
    parameters = ("concerns", "broken", "ignore", "missing")
    keywords = {key: options.pop(key) for key in parameters if key in options}
    act = options.pop("act", lambda _container: None)
    given = {"all": False, "latest": False, "filter": (), "cidfile": (), "containers": names, **options}
    args = Args(given, {"root": world.paths.data, "runroot": world.paths.run, "log_level": "warn"})
    status = for_each_container(args, act, **keywords)
    return status, world.capfd.readouterr().out.split()


def test_names_are_printed_as_they_were_typed(three: Any) -> None:
    assert select(three, "web", "1111", TWO) == (0, ["web", "1111", TWO])


def test_an_answer_is_printed_instead(three: Any) -> None:
    assert select(three, "web", act=lambda container: container.id[:3]) == (0, ["333"])


def test_all_are_the_ones_concerned_newest_first(three: Any) -> None:
    assert select(three, all=True) == (0, [THREE, TWO, ONE])
    assert select(three, all=True, concerns=is_running) == (0, [THREE])


def test_latest_is_meant_in_any_state(three: Any) -> None:
    assert select(three, latest=True, concerns=lambda _: False) == (0, [THREE])


def test_latest_of_none(world: Any) -> None:
    with pytest.raises(NotFound, match="there are no containers"):
        select(world, latest=True)


def test_filters_choose_alone_and_among_names(three: Any) -> None:
    assert select(three, filter=("label=tier=db",)) == (0, [ONE])
    assert select(three, filter=("status=exited", "status=created")) == (0, [TWO, ONE])
    assert select(three, filter=("name=nothing",)) == (0, [])
    assert select(three, "web", "old", filter=("label=tier",)) == (0, ["old"])
    assert select(three, all=True, filter=("label!=tier",), concerns=is_running) == (0, [THREE])
    assert select(three, latest=True, filter=("status=exited",)) == (0, [TWO])


def test_files_of_ids(three: Any, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text(ONE)
    second.write_text(f"{TWO}\n")
    assert select(three, cidfile=(str(first), str(second))) == (0, [ONE, TWO])
    assert select(three, "web", cidfile=(str(first),)) == (0, ["web", ONE])
    missing = str(tmp_path / "missing")
    with pytest.raises(NotFound, match=r"cannot read --cidfile .*missing: No such file"):
        select(three, cidfile=(missing,))
    assert select(three, cidfile=(missing,), ignore=True) == (0, [])


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ((), {}, "you must provide at least one name or id"),
        (("web",), {"all": True}, "--all and containers cannot be used together"),
        (("web",), {"latest": True}, "--latest and containers cannot be used together"),
        ((), {"all": True, "cidfile": ("x",)}, "--all and containers cannot be used together"),
        ((), {"all": True, "latest": True}, "--all and --latest cannot be used together"),
        ((), {"filter": ("odd",)}, "'odd' is not a filter"),
    ],
)
def test_mistakes(three: Any, names: tuple[str, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        select(three, *names, **options)
    assert raised.value.message == message


def test_the_hint_names_the_options_there_are(three: Any) -> None:
    args = Args({"containers": (), "latest": False}, {"root": None, "runroot": None, "log_level": "warn"})
    args._paths = three.paths
    with pytest.raises(UsageError) as raised:
        for_each_container(args, lambda _: None)
    assert raised.value.hint.startswith("name a container, or choose with --latest; a $(")


def test_the_others_go_on_after_a_failure(three: Any) -> None:
    def act(container: Container) -> None:
        if container.name == "done":
            raise Conflict("busy", exit_status=2)

    args = Args(
        {"containers": ("nothing", "done", "web")},
        {"root": three.paths.data, "runroot": three.paths.run, "log_level": "warn"},
    )
    assert for_each_container(args, act, missing=1) == 1
    out, err = three.capfd.readouterr()
    assert out == "web\n"
    assert err == "Error: no such container: nothing\nHint: daemonless ps --all lists them\nError: busy\n"


def test_missing_ones(three: Any) -> None:
    assert select(three, "nothing") == (125, [])
    assert select(three, "nothing", missing=1) == (1, [])
    assert select(three, "nothing", "web", ignore=True) == (0, ["web"])


def test_only_the_container_itself_may_be_missing(three: Any) -> None:
    def act(_container: Container) -> None:
        raise NotFound("no such volume: data")

    assert select(three, "web", act=act, ignore=True) == (125, [])
    assert select(three, all=True, act=act) == (125, [])


def test_a_chosen_container_that_has_gone_or_changed_is_no_failure(three: Any) -> None:
    def act(container: Container) -> None:
        if container.name == "old":
            Path(container.directory, "container.json").unlink()
            Path(container.directory, "config.json").unlink()
            Path(container.directory).rmdir()
            raise NotFound("no such container")
        if container.name == "web":
            three.locks.pop().release()
            raise Conflict("container web is exited")

    assert select(three, all=True, act=act, concerns=lambda c: c.name != "web" or c.is_running) == (0, [TWO])


def test_broken_ones_are_among_all_if_asked(three: Any) -> None:
    Path(three.paths.data, "containers", ONE, "container.json").write_text("{")
    assert select(three, all=True) == (0, [THREE, TWO])
    assert select(three, all=True, broken=True) == (0, [THREE, TWO, ONE])
    assert select(three, filter=("status=exited",), broken=True) == (0, [TWO])
