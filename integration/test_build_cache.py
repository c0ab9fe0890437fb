"""The build cache: what prunes take of it and what they leave, and what damage of it does."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import Cli, Result

DOCKERFILE = """
FROM BASE
RUN --mount=type=cache,id=kept,target=/cache dd if=/dev/zero of=/cache/file bs=1000 count=20
RUN head -c 30000 /dev/urandom > /first
RUN head -c 40000 /dev/urandom > /second
ENV A=1
"""


@pytest.fixture
def context(tmp_path: Path, image: str) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    (directory / "Dockerfile").write_text(DOCKERFILE.replace("BASE", image))
    return directory


def cached(cli: Cli, context: Path, *options: str) -> list[str]:
    """Build and return what came of each step that makes a layer: CACHED or DONE."""
    built = cli("build", *options, str(context))
    made = re.findall(r"^#(\d+) \[.*\] (?:RUN|COPY)", built.stderr, re.M)
    ends = dict(re.findall(r"^#(\d+) (CACHED|DONE)", built.stderr, re.M))
    return [ends[number] for number in made]


def records(cli: Cli) -> list[Path]:
    return sorted((cli.root / "build/steps").iterdir())


def pieces(cli: Cli) -> set[Path]:
    return {*cli.root.glob("images/blobs/*/*"), *cli.root.glob("layers/*/*")}


def test_prune_leaves_what_images_have(fresh: Cli, context: Path) -> None:
    cached(fresh, context, "--tag", "built")
    listed = fresh("builder", "du").lines
    assert [line.split()[1] for line in listed[1:6]] == ["config", "layer", "layer", "layer", "mount"]
    assert fresh("buildx", "du").lines[0] == listed[0]
    asked = fresh("builder", "prune", input="n\n")
    assert "what only the build cache needs" in asked.stderr and "kept" in asked.stderr
    assert "RUN head" not in asked.stderr
    removed = fresh("builder", "prune", "--force").lines
    assert [line.split()[1] for line in removed[1:-1]] == ["mount"]
    assert removed[-1] == "Total:  20kB"
    assert cached(fresh, context) == ["CACHED"] * 3
    fresh("rmi", "built")
    before = len(pieces(fresh))
    removed = fresh("buildx", "prune", "-f").lines
    assert [line.split()[1] for line in removed[1:-1]] == ["layer", "layer", "layer", "config"]
    assert len(pieces(fresh)) < before
    assert records(fresh) == []
    assert cached(fresh, context) == ["DONE"] * 3
    assert fresh("builder", "prune", "-f", "--filter", "type=exec.cachemount").lines[1:-1]
    assert fresh("builder", "prune", "-f", "--until", "1h").lines == ["Total:  0B"]
    fresh("builder", "prune", "-af")
    assert records(fresh) == []
    assert "is not a filter" in fresh("builder", "prune", "-f", "--filter", "x=y", status=125).stderr


def test_prune_to_a_size_takes_what_was_not_used_for_longest(fresh: Cli, context: Path) -> None:
    cached(fresh, context, "--tag", "built")
    fresh("rmi", "built")
    fresh("builder", "prune", "-f", "--max-size", "1m")
    assert cached(fresh, context) == ["CACHED"] * 3
    for record in records(fresh):
        if "first" in record.read_text():
            os.utime(record, (1, 1))
    fresh("image", "prune", "-af")
    removed = fresh("builder", "prune", "-f", "--keep-storage", "150k").lines
    assert [line.split("  ")[-1] for line in removed[1:-1]] == ["RUN head -c 30000 /dev/urandom > /first"]


def test_df_and_system_prune(fresh: Cli, context: Path) -> None:
    cached(fresh, context, "--tag", "built")

    def line() -> dict[str, int | str]:
        lines = json.loads(fresh("system", "df", "--format", "json").stdout)
        return {entry["Type"]: entry for entry in lines}["Build Cache"]

    assert (line()["Total"], line()["Active"]) == (5, 4)
    assert "RUN head -c 30000" in fresh("system", "df", "-v").stdout
    fresh("rmi", "built")
    assert (line()["Total"], line()["Active"]) == (5, 0)
    freed = line()["RawReclaimable"]
    assert isinstance(freed, int) and freed > 160_000
    assert fresh("system", "prune", "-f", "--filter", "until=1h").lines[-1].endswith(" 0B")
    done = fresh("system", "prune", "-f").lines
    assert "Deleted build cache objects" in done
    assert done[-1] == f"Total reclaimed space: {freed / 1000:.3g}kB"
    assert line()["Total"] == 0


def test_check_mends_the_cache(fresh: Cli, context: Path) -> None:
    cached(fresh, context, "--tag", "built")
    fresh("rmi", "built")
    torn, whole, *_ = records(fresh)
    torn.write_text("{")
    lost = next(json.loads(path.read_text()) for path in records(fresh)[1:] if "layer" in path.read_text())
    layers = [json.loads(path.read_text())["layer"] for path in records(fresh)[1:]]
    blob = next(layer["descriptor"]["digest"] for layer in layers if layer)
    assert lost
    path = fresh.root / "images/blobs" / blob.replace(":", "/")
    path.write_bytes(bytes(path.stat().st_size))
    shown = fresh("system", "check", status=125)
    assert shown.stdout.count("build step ") == 2
    assert "2 of them are damaged" in shown.stderr
    fresh("system", "check", "--repair")
    assert not torn.exists() and not path.exists()
    assert fresh("system", "check").stdout == ""
    assert "DONE" in cached(fresh, context)
    assert cached(fresh, context) == ["CACHED"] * 3
    del whole


def test_names_of_cache_mounts_are_fit_for_a_terminal(fresh: Cli, context: Path, image: str) -> None:
    (context / "Dockerfile").write_text(
        f"FROM {image}\nRUN --mount=type=cache,id=a\x1b[31mb,target=/c true\n"
    )
    cached(fresh, context)
    for command in (("builder", "du"), ("system", "df", "-v"), ("builder", "prune", "--all", "--force")):
        shown = fresh(*command).stdout
        assert "\x1b" not in shown and "a\\x1b[31mb" in shown, command


def test_the_same_build_many_times_at_once(fresh: Cli, context: Path) -> None:
    """Equal steps are made by several builds at once: one result is kept, and all have it."""
    (context / "Dockerfile").write_text((context / "Dockerfile").read_text().replace("urandom", "zero"))
    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda _: fresh("build", "--quiet", str(context), status=None), range(4)))
        assert all(result.status == 0 for result in results), results
        assert set(cached(fresh, context)) == {"CACHED"}
        assert fresh("system", "check").stdout == ""
        fresh("image", "prune", "--force")
        fresh("builder", "prune", "--all", "--force")
        assert not fresh.leftovers()


def test_builds_and_prunes_at_once(fresh: Cli, context: Path) -> None:
    """S-7: prunes take what no build needs, and no build ever misses anything."""
    failures: list[Result] = []
    done = threading.Event()

    def repeat(*words: str) -> None:
        while not done.is_set():
            result = fresh(*words, status=None)
            if result.status:
                failures.append(result)

    fresh("build", "--quiet", str(context))
    prunes = [("image", "prune", "--force"), ("image", "prune", "--all", "--force")]
    prunes.append(("builder", "prune", "--all", "--force"))
    workers = [threading.Thread(target=repeat, args=words) for words in prunes]
    workers += [
        threading.Thread(target=repeat, args=("build", "--quiet", *options, str(context)))
        for options in ((), ("--no-cache",))
    ]
    for worker in workers:
        worker.start()
    time.sleep(6)
    done.set()
    for worker in workers:
        worker.join()
    assert not failures, "\n\n".join(map(str, failures[:3]))
    assert fresh("system", "check").stdout == ""
    fresh("image", "prune", "--all", "--force")
    fresh("builder", "prune", "--all", "--force")
    assert pieces(fresh) == set()
    assert not list((fresh.root / "tmp").iterdir())
