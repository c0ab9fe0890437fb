"""system df, prune, check and reset."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from harness import eventually

QUICK = ("--network=none",)


def trash_is_empty(cli) -> bool:
    return not list((cli.root / "trash").iterdir())


@pytest.fixture
def used(fresh, image):
    """A store with something of every kind: `old` has ended, `new` runs, `made` is an image of `old`."""
    script = "echo 1234567 >/x; echo 12 >/v/y"
    fresh("run", *QUICK, "--name", "old", "-v", "shared:/v", image, "sh", "-c", script)
    fresh("run", *QUICK, "-d", "--name", "new", "-v", "shared:/v", image, "sleep", "1000")
    fresh("volume", "create", "unused")
    fresh("commit", "-q", "old", "made")
    fresh("commit", "-q", "-m", "of no name", "old")
    return fresh


def test_df(used, image):
    lines = {line[:13].strip(): line.split() for line in used("system", "df").lines}
    assert lines["TYPE"] == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
    assert lines["Images"][1:3] == ["3", "1"]
    assert lines["Containers"][1:] == ["2", "1", "8B", "8B", "(100%)"]
    assert lines["Local Volumes"][2:] == ["2", "1", "3B", "0B", "(0%)"]
    shown = {entry["Type"]: entry for entry in json.loads(used("system", "df", "--format", "json").stdout)}
    on_disk = sum(path.stat().st_size for path in (used.root / "images/blobs/sha256").iterdir())
    on_disk += sum(json.loads(path.read_text())["size"] for path in used.root.glob("layers/*/*/layer.json"))
    assert shown["Images"]["RawSize"] == on_disk
    freed = shown["Images"]["RawReclaimable"]
    verbose = used("system", "df", "-v").stdout
    assert "Files that no image needs: 0B" in verbose
    layers = [line.split() for line in verbose.split("Layers space usage:")[1].splitlines()[3:5]]
    assert sorted((line[2], line[3]) for line in layers) == [("2", "0"), ("3", "2")]
    assert "cannot be used together" in used("system", "df", "-v", "--format", "json", status=125).stderr
    used("rm", "old")
    done = used("system", "prune", "--all", "--force").lines
    assert done[-1] == f"Total reclaimed space: {freed / 1000:.3g}kB"
    again = json.loads(used("system", "df", "--format", "json").stdout)[0]
    assert (again["RawSize"], again["RawReclaimable"]) == (on_disk - freed, 0)


def test_prune(used, image):
    asked = used("system", "prune", "--volumes", input="n\n")
    assert "all volumes that no container uses" in asked.stderr
    assert asked.stdout == ""
    assert "is not a filter" in used("system", "prune", "-f", "--filter", "name=x", status=125).stderr
    old = used("inspect", "-f", "{{.Id}}", "old").stdout.strip()
    dangling = used("images", "-q", "--no-trunc", "--filter", "dangling=true").lines
    assert used("system", "prune", "-f", "--filter", "until=1h").lines == ["Total reclaimed space: 0B"]
    done = used("system", "prune", "-f", "--volumes").lines
    expected = ["Deleted Containers", old, "Deleted Volumes", "unused", "Deleted Images", dangling[0][7:]]
    assert done[:6] == expected
    assert done[6].startswith("Total reclaimed space: ") and len(done) == 7
    assert used("images", "--format", "{{.Repository}}", "--sort=repository").lines == [
        *("daemonless.local/starter-busybox", "docker.io/library/made")
    ]
    used("rm", "-ft0", "new")
    used("system", "prune", "-af", "--volumes")
    eventually(lambda: trash_is_empty(used), 20, "the trash is not emptied")
    assert used("system", "df", "--format", "{{.Total}} {{.Size}}").lines == ["0 0B"] * 4


def flip(path: Path) -> None:
    """Change one byte."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_healthy_store_stays_as_it_is(used):
    for words in ((), ("--quick",), ("--repair",), ("--repair", "--force")):
        done = used("system", "check", *words)
        assert done.stdout == ""
        assert (
            done.stderr == "Checked 3 images, 2 layers, 0 build steps, 2 containers, 2 volumes, 0 secrets\n"
        )
    assert used("exec", "new", "cat", "/v/y").stdout == "12\n"


def test_damage_is_named_and_repaired(used, image):
    """Each piece of damage is one line; --repair takes what no container uses, --force the rest."""
    made = json.loads(used("image", "inspect", "made").stdout)[0]
    manifest = json.loads((used.root / "images/blobs/sha256" / made["Digest"][7:]).read_text())
    top = manifest["layers"][-1]["digest"]
    flip(used.root / "images/blobs/sha256" / top[7:])
    (used.root / "names/nobody").symlink_to("f" * 64)
    old = used("inspect", "-f", "{{.Id}}", "old").stdout.strip()
    (used.root / f"containers/{old}/container.json").write_text("{")
    (used.root / "volumes/unused/volume.json").write_text("{")
    assert used("system", "check", "--quick", status=125).stdout.count("\n") == 3
    found = used("system", "check", status=125)
    lines = found.lines
    # both images of `old` have the layer
    assert f"image docker.io/library/made:latest: blob {top} is not what its digest says" in lines
    assert sum(line.endswith("is not what its digest says") for line in lines) == 2
    assert any(line.startswith(f"container {old[:12]}: ") for line in lines)
    assert any(line.startswith("volume unused: ") for line in lines)
    assert "the container name nobody: it stands for no container" in lines
    assert "Error: 5 of them are damaged\nHint: --repair removes" in found.stderr
    repaired = used("system", "check", "--repair", status=125)
    assert "removed image docker.io/library/made:latest" in repaired.lines
    assert "freed the container name nobody" in repaired.lines
    assert f"container {old[:12]} stays" in repaired.stderr
    assert "volume unused stays" in repaired.stderr
    forced = used("system", "check", "--repair", "--force", status=125)
    assert f"removed container {old[:12]}" in forced.lines
    used("volume", "rm", "--force", "unused")
    assert used("system", "check").stdout == ""
    assert used("exec", "new", "cat", "/v/y").stdout == "12\n"
    assert used("ps", "--format", "{{.Names}}").lines == ["new"]
    assert used("images", "--noheading", "--format", "{{.Repository}}").lines == [image]


def test_a_broken_layer_is_unpacked_again(used, image):
    used("system", "prune", "-af")
    used("rm", "-ft0", "new")
    [layer] = (used.root / "layers/default").iterdir()
    (layer / "layer.json").write_text("")
    assert f"layer {layer.name[:12]}: its record cannot be read" in used("system", "check", status=125).stdout
    used("system", "check", "--repair")
    assert used("run", "--rm", *QUICK, image, "echo", "again").stdout == "again\n"
    assert used("system", "check").stdout == ""


def test_what_was_killed_half_way_is_garbage_and_no_damage(used, image):
    token = used.root.parent / "token"
    token.touch()
    env = {"DAEMONLESS_FAILPOINT": f"commit.list=kill:{token}"}
    used("commit", "-q", "-m", "killed", "old", "killed", env=env, status=-9)
    assert used("system", "check").stdout == ""
    assert "Files that no image needs: 0B" not in used("system", "df", "-v").stdout
    assert "that no image needs" in used("system", "check", "--repair").stdout
    assert "Files that no image needs: 0B" in used("system", "df", "-v").stdout
    assert not os.listdir(used.root / "tmp")


def test_reset(used, image):
    assert "nothing was removed" in used("system", "reset", status=125, input="").stderr
    assert "all volumes" in used("system", "reset", input="no\n").stderr
    assert len(used("ps", "-aq").lines) == 2
    used("run", *QUICK, "-v", "shared:/v", image, "sh", "-c", "touch /v/his; chown 33 /v/his; chmod 0 /v")
    used("secret", "create", "word", "-", input="canary")
    broken = used("create", *QUICK, image, "true").stdout.strip()
    (used.root / "containers" / broken / "container.json").write_text("{")
    assert used("system", "reset", "--force").stdout == ""
    eventually(lambda: os.listdir(used.root) == ["trash"] and trash_is_empty(used))
    assert os.listdir(used.runroot) == []
    assert not list(Path(used.env["XDG_CACHE_HOME"], "daemonless").iterdir())
    for command in (("ps", "-aq"), ("images", "-q"), ("volume", "ls", "-q"), ("secret", "ls", "-q")):
        assert used(*command).stdout == ""
    used("run", "--rm", *QUICK, "daemonless.local/starter-busybox", "true")
    used("system", "reset", "-f")
    used("system", "reset", "-f")
