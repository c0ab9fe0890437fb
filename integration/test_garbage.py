"""What nothing needs is removed, what something needs is not: kills, leases and races."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from harness import eventually
from layouts import busybox_layer, layer, make_layout

QUICK = ("--rm", "--network=none", "--pull=never")


def objects(cli) -> set[str]:
    """Return all blobs and unpacked layers."""
    paths = (*cli.root.glob("images/blobs/*/*"), *cli.root.glob("layers/*/*"))
    return {str(path.relative_to(cli.root)) for path in paths}


@pytest.fixture(scope="module")
def pushed(registry, scratch: Path) -> list[str]:
    """Two images with a layer in common."""
    common = busybox_layer({"data/common": b"c" * 100_000})
    names = []
    for number in range(2):
        directory = scratch / f"layout-garbage-{number}"
        make_layout(
            directory, [common, layer({f"data/{number}": b"x" * 5000})], config={"Cmd": ["ls", "/data"]}
        )
        names.append(registry.push(directory, f"garbage:{number}"))
    return names


KILLED = [
    *(("pull", point) for point in ("lease.keep", "blob.commit", "blobs.sync", "images.write")),
    *(
        ("commit", point)
        for point in (
            *("commit.layer", "lease.keep", "commit.unpacked", "blob.commit", "blob.sync"),
            *("commit.list", "images.write"),
        )
    ),
]


def test_what_was_killed_is_removed_and_nothing_else(fresh, pushed, image):
    """S-19: at whatever step a pull or a commit dies, prune brings back the store of before."""
    token = fresh.root.parent / "token"
    fresh("run", "--network=none", "--name", "user", image, "sh", "-c", "echo 1 > /new")
    before = objects(fresh)
    for command, point in KILLED:
        words = ("pull", "-q", pushed[0]) if command == "pull" else ("commit", "-q", "user", f"made:{point}")
        token.touch()
        env = {"DAEMONLESS_FAILPOINT": f"{point}=kill:{token}"}
        assert fresh(*words, env=env, status=None).status == -9, f"{command} was not killed at {point}"
        fresh("image", "prune", "--force")
        assert objects(fresh) == before, f"{command} killed at {point}"
        assert not list((fresh.root / "tmp").iterdir())
    assert fresh("start", "--attach", "user").stdout == ""
    fresh("rm", "user")
    assert fresh("image", "prune", "--force", "--all").lines
    assert objects(fresh) == set()


def test_prune_spares_what_a_pull_in_progress_has(fresh, pushed):
    """The pull stands still with a blob in place that no image uses yet; only the lease says for whom."""
    token = fresh.root.parent / "fifo"
    os.mkfifo(token)
    env = fresh.environment(DAEMONLESS_FAILPOINT=f"blobs.sync=pause:{token}")
    pull = fresh.start("pull", "-q", pushed[0], env=env)
    try:
        with open(token, "wb"):
            eventually(lambda: not token.exists(), 20, "the pull has no blob")
            before = objects(fresh)
            assert before
            fresh("image", "prune", "--force", "--all")
            assert before <= objects(fresh)
    finally:
        assert pull.wait(20) == 0
    assert fresh("run", *QUICK, pushed[0]).lines == ["0", "common"]


@pytest.mark.parametrize("attempt", range(3))
def test_pulls_runs_and_prunes_at_once(fresh, pushed, image, attempt):
    """S-7: whatever is pulled, run, committed and removed at the same time, prune disturbs nobody."""
    fresh("run", "--network=none", "--name", "user", image, "true")
    failures: list[str] = []
    done = threading.Event()

    def work(*commands: tuple[str, ...]) -> None:
        for _ in range(2):
            for words in commands:
                result = fresh(*words, status=None)
                if result.status:
                    failures.append(f"{words}: {result}")

    def prune() -> None:
        while not done.is_set():
            result = fresh("image", "prune", "--force", status=None)
            if result.status:
                failures.append(str(result))

    workers = [
        threading.Thread(target=work, args=(("pull", "-q", name), ("run", *QUICK, name), ("rmi", name)))
        for name in pushed
    ]
    commit = ("commit", "-q", "user", "made:1")
    workers.append(
        threading.Thread(target=work, args=(commit, ("run", *QUICK, "made:1", "true"), ("rmi", "made:1")))
    )
    pruner = threading.Thread(target=prune)
    for thread in (*workers, pruner):
        thread.start()
    for thread in workers:
        thread.join()
    done.set()
    pruner.join()
    assert not failures, "\n\n".join(failures)
    fresh("image", "prune", "--force")
    [entry] = json.loads((fresh.root / "images/index.json").read_text())["manifests"]
    assert entry["annotations"]["org.opencontainers.image.ref.name"].startswith(image)
    assert len(objects(fresh)) == 4  # of the image of "user": manifest, config, layer, unpacked layer


def test_a_container_outlives_its_damaged_image(fresh, image):
    """What a container stands on stays, also when its image is not known any more."""
    identity = fresh("run", "-d", "--network=none", "--name", "user", image, "sleep", "1000").stdout.strip()
    fresh("create", "--network=none", "--name", "other", image, "true")
    record = json.loads((fresh.root / f"containers/{identity}/container.json").read_text())
    (fresh.root / "images/blobs/sha256" / record["imageId"][7:]).unlink()
    refused = fresh("image", "prune", "--force", status=125)
    assert "is damaged" in refused.stderr and "rmi" in refused.stderr
    fresh("rmi", image)
    fresh("image", "prune", "--force", "--all")
    blob, unpacked = sorted(objects(fresh))  # the starter's layer is not compressed: both have one digest
    assert Path(blob).name == Path(unpacked).name
    assert fresh("exec", "user", "echo", "here").stdout == "here\n"
    fresh("start", "--attach", "other")
    fresh("rm", "-f", "-t0", "user", "other")
    fresh("image", "prune", "--force")
    assert objects(fresh) == set()
