"""Many commands at once on the same objects: one of them wins, and nothing is half done."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import Cli, Result, eventually

QUICK = ("--network=none",)
MANY = 100
AT_ONCE = 16  # of the many; more only wait for the two cores


def all_at_once(work: Callable[[int], Result], many: int = MANY, at_once: int = AT_ONCE) -> list[Result]:
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(work, range(many)))


@pytest.mark.parametrize("row", [1, 2, 3])
def test_100_runs_of_one_name_at_once(cli: Cli, image: str, row: int) -> None:
    """As long as the winner lives nobody else gets the name; afterwards nothing is left of any."""
    hold = cli.root.parent / "hold"
    hold.mkdir(exist_ok=True)
    gate = hold / "gate"
    os.mkfifo(gate)
    words = ("run", "--rm", *QUICK, "--name", "same", "-v", f"{hold}:/hold", image)

    def run(_: int) -> Result:
        return cli(*words, "sh", "-c", "echo won; cat /hold/gate", status=None)

    results: list[Result] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(run, number) for number in range(MANY)]
        eventually(lambda: sum(future.done() for future in futures) == MANY - 1, 60)
        assert cli("ps", "--format", "{{.Names}}").lines == ["same"]
        gate.write_bytes(b"")
        results = [future.result() for future in futures]
    gate.unlink()
    assert sorted(result.status for result in results) == [0] + [125] * (MANY - 1)
    for result in results:
        if result.status:
            assert "the container name 'same' is already in use by" in result.stderr, result
            assert result.stderr.count("Error:") == 1, result
        else:
            assert result.stdout == "won\n", result
    assert cli.ids() == []
    assert not cli.leftovers()


@pytest.mark.parametrize("row", [1, 2, 3])
def test_100_runs_removals_lists_and_prunes_at_once(cli: Cli, image: str, row: int) -> None:
    """Every third container is removed by force; the others are there, and nothing else is."""
    stop = threading.Event()
    problems: list[Result] = []

    def again_and_again(*words: str) -> None:
        while not stop.is_set():
            result = cli(*words, status=None)
            if result.status or "Error" in result.stderr or "Warning" in result.stderr:
                problems.append(result)

    def run(number: int) -> Result:
        name = f"x{number}"
        started = cli("run", "-d", *QUICK, "--name", name, image, "sleep", "1000", status=None)
        if started.status == 0 and number % 3 == 0:
            return cli("rm", "-f", "-t", "0", name, status=None)
        if started.status == 0 and number % 3 == 1:
            return cli("stop", "-t", "0", name, status=None)
        return started

    loops = [("ps", "-a"), ("container", "prune", "-f"), ("container", "prune", "-f")]
    threads = [threading.Thread(target=again_and_again, args=words) for words in loops]
    for thread in threads:
        thread.start()
    try:
        results = all_at_once(run)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert all(result.status == 0 for result in results), next(r for r in results if r.status)
    assert not problems, problems[0]
    cli("container", "prune", "-f")
    shown = cli("ps", "-a", "--format", "{{.Names}} {{.State}}").lines
    assert sorted(shown) == sorted(f"x{number} running" for number in range(MANY) if number % 3 == 2)
    running = [line.split()[0] for line in shown]
    all_at_once(lambda number: cli("rm", "-f", "-t", "0", running[number]), len(running))
    assert not cli.leftovers()


CREATE = ("create", *QUICK, "--name", "d", "IMAGE", "true")
PAIRS = {
    "rm and start": (("rm", "-f", "-t", "0", "c"), ("start", "c")),
    "rm and start --attach": (("rm", "c"), ("start", "-a", "c")),
    "start and start": (("start", "c"), ("start", "c")),
    "rm and rm": (("rm", "c"), ("rm", "c")),
    "rm and rename": (("rm", "c"), ("rename", "c", "d")),
    "rename and rename": (("rename", "c", "d"), ("rename", "c", "e")),
    "create and create": (CREATE, CREATE),
    "create and prune": (CREATE, ("container", "prune", "-f")),
    "start and prune": (("start", "c"), ("container", "prune", "-f")),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_two_commands_at_once(cli: Cli, image: str, pair: str) -> None:
    """Either order is fine, nothing in between: an object is there whole, or gone."""
    for delay in (0, 0, 0.004, 0.008, 0.012, 0.016):
        cli("create", *QUICK, "--name", "c", image, "sleep", "0.05")
        commands = [[word.replace("IMAGE", image) for word in words] for words in PAIRS[pair]]
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(cli, *commands[0], status=None)
            time.sleep(delay)
            second = pool.submit(cli, *commands[1], status=None)
            results = [first.result(), second.result()]
        for result in results:
            assert "internal error" not in result.stderr, result
            assert result.stderr.count("Error:") == (result.status != 0), result
        check(cli, pair, results)
        cli("rm", "-f", "-t", "0", "--all")
        assert cli.ids() == []


def check(cli: Cli, pair: str, results: list[Result]) -> None:
    statuses = sorted(result.status for result in results)
    shown = set(cli("ps", "-a", "--format", "{{.Names}}").lines)
    if pair in ("rm and rm", "rm and rename"):
        assert 0 in statuses, results
    if pair == "rm and start":
        assert not shown and results[0].status == 0, results
    if pair == "start and start":
        assert shown == {"c"} and statuses == [0, 0], results
    if pair == "create and create":
        assert shown == {"c", "d"} and statuses == [0, 125], results
    if pair == "rename and rename":
        assert 0 in statuses and len(shown) == 1, results
    for name in shown:
        assert cli("inspect", name, "--format", "{{.Name}}").stdout.strip().strip("/") == name


def test_containers_that_share_volumes_in_swapped_order(cli: Cli, image: str) -> None:
    """S-6: locks of volumes are taken by name, whatever the order on the command line."""
    orders = (("-v", "va:/a", "-v", "vb:/b"), ("-v", "vb:/a", "-v", "va:/b"))

    def run(number: int) -> Result:
        return cli("run", "--rm", *QUICK, *orders[number % 2], image, "sh", "-c", f"echo x >/a/{number}")

    all_at_once(run, 40)
    files = cli("run", "--rm", *QUICK, *orders[0], image, "sh", "-c", "ls /a /b | grep -c [0-9]").stdout
    assert files == "40\n"
    cli("volume", "rm", "va", "vb")


def test_a_start_waits_for_a_removal(cli: Cli, image: str) -> None:
    """The lock is held by who removes the container: that does not mean that it runs."""
    cli("create", *QUICK, "--name", "c", image, "sleep", "100")
    gate = cli.root.parent / "gate"
    os.mkfifo(gate)
    armed = cli.environment(DAEMONLESS_FAILPOINT=f"rm.discard=pause:{gate}")
    removing = cli.start("rm", "c", env=armed)
    with open(gate, "wb"):
        starting = cli.start("start", "c")
        with pytest.raises(subprocess.TimeoutExpired):
            starting.wait(0.5)  # it cannot know yet
    out, err = starting.communicate(timeout=20)
    assert (starting.returncode, out) == (125, b"") and b"no such container" in err, err
    assert removing.wait(20) == 0
    assert cli.ids() == []


def test_removals_while_one_stops(cli: Cli, image: str) -> None:
    script = "trap 'sleep 100; exit 5' TERM; echo up; while :; do sleep 0.01; done"
    cli("run", "-d", *QUICK, "--name", "c", image, "sh", "-c", script)
    eventually(lambda: cli("logs", "c").stdout == "up\n")
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(cli, "stop", "c", status=None)
        eventually(lambda: cli.inspect("c", "{{.State.Status}}") == "stopping")
        # It goes on stopping until it is killed: one that has ended may be removed by who asks first.
        asking = cli("rm", "c", status=None)
        assert asking.status in (1, 2), asking
        forcing = cli("rm", "-f", "c", status=None)
        assert forcing.status == 0, forcing
        assert stopping.result().status in (0, 125), stopping.result()
    assert cli.ids() == []


def test_a_container_is_not_made_of_an_image_that_goes(fresh: Cli, image: str) -> None:
    """rmi looks for users, and create for layers: with a step of one between two of the other."""
    fresh("run", "--rm", *QUICK, image, "true")
    gate = fresh.root.parent / "gate"
    for point in ("create.name", "create.publish"):
        os.mkfifo(gate)
        armed = fresh.environment(DAEMONLESS_FAILPOINT=f"{point}=pause:{gate}")
        creating = fresh.start("create", *QUICK, "--name", "c", image, "true", env=armed)
        with open(gate, "wb"):
            removed = fresh("rmi", image, status=None)
        _, err = creating.communicate(timeout=20)
        if creating.returncode == 0:
            assert removed.status == 2, removed
            assert fresh("start", "-a", "c").status == 0
            fresh("rm", "c")
        else:
            assert removed.status == 0 and b"removed" in err, err
            assert fresh.ids() == []
        fresh("run", "--rm", *QUICK, image, "true")
