"""RUN --mount=type=cache: what stays from step to step, and who waits for whom."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path
from typing import Any

import pytest
from runs import Builder, as_root, eventually, finish, in_background, tree

from daemonless.build.cachemounts import CacheStore, Identity
from daemonless.build.runjob import Layers
from daemonless.config import Paths
from daemonless.dockerfile.steps import RunMount
from daemonless.errors import NotFound, SetupFailed


def cache(target: str = "/c", **more: Any) -> RunMount:
    return RunMount(type="cache", target=target, **{"id": "pip", "source": "/", **more})


def test_the_content_stays_but_not_in_the_layer(build: Builder) -> None:
    first = build("stat -c '%a %u:%g' /c; ls -A /c; echo x > /c/f; chown 5:6 /c/f", mounts=(cache(),))
    assert first.out == "755 0:0\n"
    assert first.changes == {}
    second = build("stat -c '%u:%g' /else/f; cat /else/f", mounts=(cache("/else"),))
    assert second.out == "5:6\nx\n"
    other = build("ls -A /c; ls -A /d", mounts=(cache(id="npm"), cache("/d", id="pip", mode=0o700)))
    assert other.out == ""
    named = build("ls -A /c", mounts=(cache(),), cache_namespace="project")
    assert named.out == ""


def test_its_first_owner_and_mode(build: Builder) -> None:
    mount = cache(uid=7, gid=8, mode=0o2770)
    config = {"config": {"User": "7:8"}}
    ran = build("stat -c '%a %u:%g' /c; echo x > /c/f; cat /c/f", mounts=(mount,), config=config)
    assert ran.out == "2770 7:8\nx\n"
    with pytest.raises(SetupFailed, match="not mapped"):
        build(mounts=(cache(uid=4_000_000_000),))


def test_a_read_only_cache(build: Builder) -> None:
    build("echo x > /c/f", mounts=(cache(),))
    ran = build("cat /c/f; echo y > /c/f", mounts=(cache(read_only=True),))
    assert (ran.status, ran.out) == (1, "x\n")
    assert "Read-only" in ran.err


def test_it_begins_with_what_a_stage_holds(build: Builder) -> None:
    stage = build(
        "mkdir -p /src/d; echo one > /src/d/f; ln /src/d/f /src/g; chown -R 3:4 /src; chmod 750 /src"
    )
    trees = {"stage": Layers(lowers=(stage.upper, build.base))}
    mount = cache(from_="stage", source="/src")
    look = "find /c | sort; stat -c '%a %u:%g %h' /c /c/g"
    first = build(look, mounts=(mount,), trees=trees)
    assert first.out.split() == ["/c", "/c/d", "/c/d/f", "/c/g", "750", "3:4", "3", "644", "3:4", "2"]
    assert build("echo two > /c/g; rm -r /c/d; cat /c/g", mounts=(mount,), trees=trees).out == "two\n"
    assert build("ls /c; cat /c/g", mounts=(mount,), trees=trees).out == "g\ntwo\n"
    assert tree(stage.upper)["src/g"].endswith("one\n")
    missing = cache(from_="stage", source="/none")
    with pytest.raises(SetupFailed, match="cannot mount /none: it is not in stage"):
        build(mounts=(missing,), trees=trees)
    with pytest.raises(SetupFailed, match="/src/g of stage: it is not a directory"):
        build(mounts=(cache(from_="stage", source="/src/g"),), trees=trees)
    with pytest.raises(NotFound, match="no stage, image or context gone"):
        build(mounts=(cache(from_="gone"),))


def test_one_cache_at_two_places(build: Builder) -> None:
    for sharing in ("shared", "private", "locked"):
        mounts = (cache("/a", id=sharing, sharing=sharing), cache("/b", id=sharing, sharing=sharing))
        assert build("echo x > /a/f; cat /b/f", mounts=mounts).out == "x\n"


def test_shared_steps_run_together(build: Builder) -> None:
    wait = "i=0; while [ ! -e /c/there ] && [ $i -lt 500 ]; do i=$((i+1)); sleep 0.01; done; cat /c/there"
    waiting = in_background(build.job(wait, mounts=(cache(sharing="shared"),)))
    assert build("echo met > /c/there; sleep 0.1", mounts=(cache(sharing="shared"),)).status == 0
    status, text = finish(waiting)
    assert (status, text.splitlines()[-1]) == (0, "met")  # for its first content one may have to wait


def test_all_who_share_a_new_cache_have_it_at_once(paths: Paths) -> None:
    """One of them fills it; none of the others waits for more than that."""
    store = CacheStore(paths)
    for number in range(20):
        started, begin = os.pipe()
        holding, held_by = os.pipe()
        children = []
        for _ in range(4):
            child = os.fork()
            if child == 0:
                try:
                    os.close(begin)
                    os.read(started, 1)  # all begin at the end of file
                    held = store.acquire(Identity(id=f"new-{number}"), "shared", lambda _: None)
                    if held.is_new:
                        os.rename(f"{held.directory}/_new", f"{held.directory}/_data")
                    held.settle()
                    os.write(held_by, b".")
                    signal.pause()
                finally:
                    os._exit(1)
            children.append(child)
        for fd in (started, begin, held_by):
            os.close(fd)
        got = b""
        while len(got) < 4 and select.select([holding], [], [], 5)[0]:
            got += os.read(holding, 4)
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(holding)
        assert got == b"....", number


def test_locked_steps_follow_each_other(build: Builder, paths: Paths) -> None:
    script = "echo in >> /c/log; sleep 0.2; echo out >> /c/log"
    mounts = (cache("/z", id="z", sharing="locked"), cache(sharing="locked"))
    steps = [in_background(build.job(script, mounts=order)) for order in (mounts, mounts[::-1], mounts)]
    outputs = [finish(step) for step in steps]
    assert [status for status, _ in outputs] == [0, 0, 0]
    said = "".join(text for _, text in outputs).splitlines()
    assert said
    assert set(said) <= {"waiting for another step that uses the cache " + name for name in ("z", "pip")}
    assert build("cat /c/log", mounts=(cache(),)).out.split() == ["in", "out"] * 3


def test_a_private_step_gets_a_cache_of_its_own(build: Builder, paths: Paths) -> None:
    build("echo first > /c/f", mounts=(cache(sharing="private"),))
    hold = "echo held; while [ ! -e /c/go ]; do sleep 0.01; done"
    holding = in_background(build.job(hold, mounts=(cache(sharing="shared"),)))
    assert os.read(holding[1], 100) == b"held\n"
    for _ in range(2):
        ran = build("cat /c/f; echo second > /c/f", mounts=(cache(sharing="private"),))
    assert ran.out == "second\n"  # the one of its own is kept, too
    build("touch /c/go", mounts=(cache(),))
    assert finish(holding)[0] == 0
    assert build("cat /c/f", mounts=(cache(sharing="private"),)).out == "first\n"
    assert [each.id for each in CacheStore(paths).caches()] == ["pip", "pip"]


def test_a_killed_step_loses_nothing_and_locks_nothing(build: Builder) -> None:
    process = in_background(
        build.job("echo x > /c/f; echo ready; sleep 100", mounts=(cache(sharing="locked"),))
    )
    assert os.read(process[1], 100) == b"ready\n"
    os.kill(process[0], signal.SIGKILL)
    assert finish(process) == (-signal.SIGKILL, "")
    assert build("cat /c/f", mounts=(cache(sharing="locked"),)).out == "x\n"


def test_a_first_content_that_was_not_completed_is_thrown_away(build: Builder, paths: Paths) -> None:
    stage = build("mkdir /src; echo whole > /src/f")
    trees = {"stage": Layers(lowers=(stage.upper, build.base))}
    mount = cache(from_="stage", source="/src")
    build(mounts=(mount,), trees=trees)
    (found,) = CacheStore(paths).caches()

    def cut_off() -> None:
        os.rename(f"{found.directory}/_data", f"{found.directory}/_new")
        os.truncate(f"{found.directory}/_new/f", 0)

    as_root(cut_off)
    assert CacheStore(paths).caches() == []
    assert build("cat /c/f", mounts=(mount,), trees=trees).out == "whole\n"


def test_listing_and_removal(build: Builder, paths: Paths) -> None:
    store = CacheStore(paths)
    assert store.caches() == []
    build(
        "head -c 5000 /dev/zero > /c/f; mkdir -m 700 /c/d; echo 123 > /c/d/g; chown -R 9 /c/d",
        mounts=(cache(),),
    )
    build("echo > /c/f", mounts=(cache(id="npm"),))
    build("true", mounts=(cache(),))
    caches = store.caches()
    assert [each.id for each in caches] == ["npm", "pip"]  # the one last used comes last
    assert caches[0].used < caches[1].used
    assert [store.sizes(caches)[each.directory] for each in caches] == [1, 5004]

    holding = in_background(build.job("echo held; sleep 100", mounts=(cache(sharing="shared"),)))
    assert os.read(holding[1], 100) == b"held\n"
    assert not store.remove(caches[1])
    os.kill(holding[0], signal.SIGKILL)
    finish(holding)
    eventually(lambda: store.remove(caches[1]))
    assert not store.remove(caches[1])
    assert [each.id for each in store.caches()] == ["npm"]
    assert build("ls -A /c", mounts=(cache(),)).out == ""


def test_who_waited_for_a_cache_that_is_removed_makes_a_new_one(build: Builder, paths: Paths) -> None:
    holding = in_background(build.job("echo old > /c/f; echo held; sleep 100", mounts=(cache(),)))
    assert os.read(holding[1], 100) == b"held\n"
    waiting = in_background(build.job("ls -A /c; echo $?", mounts=(cache(sharing="locked"),)))
    assert os.read(waiting[1], 100) == b"waiting for another step that uses the cache pip\n"
    (found,) = CacheStore(paths).caches()
    Path(found.directory).rename(f"{paths.data}/trash/old")
    os.kill(holding[0], signal.SIGKILL)
    finish(holding)
    assert finish(waiting) == (0, "0\n")


def test_names_depend_on_all_that_tells_caches_apart() -> None:
    names = {
        Identity(id="a").name,
        Identity(id="a", uid=1).name,
        Identity(id="a", gid=1).name,
        Identity(id="a", mode=0o700).name,
        Identity(id="a", origin="x /").name,
        Identity(id="b").name,
    }
    assert len(names) == 6
    assert all(len(name) == 32 and set(name) <= set("0123456789abcdef") for name in names)
