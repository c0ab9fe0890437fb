"""images, tag and rmi: what they print, and what they leave on disk.

test_images.py has the store behind them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from harness import eventually
from layouts import busybox_layer, layer, make_layout

LIST = ("run", "--rm", "--network=none", "--pull=never")


class Pushed:
    """An image in the registry: its name there, its id and the digest of its manifest."""

    def __init__(self, registry, directory: Path, name: str, layers: list[bytes], **config: object) -> None:
        make_layout(directory, layers, config=config)
        self.name = registry.push(directory, name)
        [entry] = json.loads((directory / "index.json").read_text())["manifests"]
        self.digest = entry["digest"]
        manifest = json.loads((directory / "blobs/sha256" / self.digest[7:]).read_text())
        self.id = manifest["config"]["digest"][7:]


@pytest.fixture(scope="session")
def layers() -> list[bytes]:
    return [busybox_layer({"data/one": b""}), layer({"data/two": b""})]


@pytest.fixture(scope="session")
def pushed(registry, scratch: Path, layers) -> Pushed:
    settings = {"Cmd": ["ls", "/data"], "Labels": {"made.for": "tests"}}
    return Pushed(registry, scratch / "layout-commands", "commands:1", layers, **settings)


def blobs(cli) -> set[str]:
    return {path.name for path in (cli.root / "images/blobs/sha256").iterdir()}


def test_tag_and_rmi(fresh, pushed):
    fresh("pull", "-q", pushed.name)
    fresh("tag", pushed.name, "short", "localhost/other:2")
    listed = fresh("images", "--format", "{{.Repository}}:{{.Tag}}").lines
    assert set(listed) == {pushed.name, "docker.io/library/short:latest", "localhost/other:2"}
    assert fresh("images", "-q").lines == [pushed.id[:12]]
    assert fresh(*LIST, pushed.id[:12]).lines == fresh(*LIST, "short").lines == ["one", "two"]
    assert "has more than one name" in fresh("rmi", pushed.id, status=125).stderr
    assert fresh("rmi", "short").stdout == "Untagged: docker.io/library/short:latest\n"
    assert fresh("rmi", pushed.name).stdout == f"Untagged: {pushed.name}\n"
    last = fresh("rmi", "localhost/other:2")
    assert last.stdout == f"Untagged: localhost/other:2\nDeleted: {pushed.id}\n"
    assert blobs(fresh) == set()
    assert not list((fresh.root / "layers/default").iterdir())
    eventually(lambda: not list((fresh.root / "trash").iterdir()), 20, "the trash is not emptied")


def test_rmi_force_takes_all_names(fresh, pushed):
    fresh("pull", "-q", pushed.name)
    fresh("tag", pushed.name, "short")
    done = fresh("rmi", "--force", pushed.id[:8])
    assert set(done.lines) == {
        f"Untagged: {pushed.name}",
        "Untagged: docker.io/library/short:latest",
        f"Deleted: {pushed.id}",
    }


def test_rmi_keeps_what_another_image_uses(fresh, registry, pushed, scratch, layers):
    other = Pushed(registry, scratch / "keeping", "keeping:1", layers[:1], Cmd=["ls", "/data"])
    fresh("pull", "-q", pushed.name, other.name)
    fresh("rmi", pushed.name)
    assert fresh(*LIST, other.name).lines == ["one"]
    fresh("rmi", other.name)
    assert blobs(fresh) == set()


def test_rmi_of_an_image_in_use(fresh, pushed):
    fresh("pull", "-q", pushed.name)
    fresh("create", "--name", "user", "--network=none", pushed.name)
    used = fresh("rmi", pushed.name, status=2)
    assert "is in use by container user" in used.stderr
    assert used.stdout == ""
    fresh("tag", pushed.name, "second")
    fresh("rmi", pushed.name)  # only a name: nothing the container needs
    assert fresh("images", "--format", "{{.Containers}}").lines == ["1"]
    fresh("rmi", "--force", "second")
    assert fresh("ps", "--all", "--quiet").stdout == ""


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["nonesuch"], 1, "Error: no such image: nonesuch\nHint: it is not on this machine; fetch it with:"),
        (["0123456789ab"], 1, "Error: no such image: 0123456789ab"),
        (["-f", "nonesuch"], 0, ""),
        (["-i", "nonesuch"], 0, ""),
        ([], 125, "Error: no image was named\nHint: name one, or use --all"),
    ],
)
def test_rmi_of_nothing(fresh, words, status, message):
    assert fresh("rmi", *words, status=status).stderr.startswith(message)


def test_dangling_images(fresh, registry, pushed, scratch, layers):
    old = Pushed(registry, scratch / "old", "moving:1", layers)
    fresh("pull", "-q", old.name)
    Pushed(registry, scratch / "new", "moving:1", layers[:1])
    fresh("pull", "-q", old.name)
    assert fresh("images", "--quiet", "--filter", "dangling=true").lines == [old.id[:12]]
    assert "<none>" in fresh("images").stdout
    done = fresh.shell('daemonless rmi $(daemonless images --quiet --filter "dangling=true")')
    assert done.stdout == f"Deleted: {old.id}\n"
    assert len(fresh("images", "-q").lines) == 1
    nothing = fresh.shell('daemonless rmi $(daemonless images --quiet --filter "dangling=true")', status=125)
    assert "had nothing to remove" in nothing.stderr


def test_the_table(fresh, pushed):
    fresh("pull", "-q", pushed.name)
    repository, _, tag = pushed.name.rpartition(":")
    heading, row = fresh("images").lines
    assert heading.split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert row.split()[:3] == [repository, tag, pushed.id[:12]]
    assert re.search(r" \d(\.\d+)? MB$", row)
    assert fresh("images", "--noheading").lines == [row]
    assert pushed.digest in fresh("images", "--digests").stdout
    assert f"sha256:{pushed.id}" in fresh("images", "--no-trunc").stdout
    assert fresh("images", "--format", "{{.ID}} {{.Digest}}").lines == [f"{pushed.id[:12]} {pushed.digest}"]
    [listed] = json.loads(fresh("images", "--format", "json").stdout)
    assert (listed["Id"], listed["Names"], listed["Labels"]) == (
        pushed.id,
        [pushed.name],
        {"made.for": "tests"},
    )
    for chosen in (
        "label=made.for",
        "label=made.for=tests",
        f"id={pushed.id[:3]}",
        f"reference={repository}",
    ):
        assert len(fresh("images", "-q", "--filter", chosen).lines) == 1, chosen
    for missed in (
        "label=made",
        "label=made.for=x",
        "dangling=true",
        "reference=none*",
        f"before={pushed.name}",
    ):
        assert fresh("images", "-q", "--filter", missed).stdout == "", missed
    assert len(fresh("images", "-q", "commands").lines) == 1
    assert fresh("images", "-q", "command").lines == []


def test_a_damaged_image_hides_no_other(fresh, pushed, image):
    fresh("pull", "-q", pushed.name, image)
    (fresh.root / "images/blobs/sha256" / pushed.id).unlink()
    listed = fresh("images", "--noheading")
    assert len(listed.lines) == 1
    assert f"Warning: image {pushed.name} is damaged" in listed.stderr
    assert "is damaged" in fresh(*LIST, pushed.name, status=125).stderr
    fresh("rmi", pushed.name)
    fresh("pull", "-q", pushed.name)
    assert fresh(*LIST, pushed.name).lines == ["one", "two"]


def test_what_a_removed_image_was_built_on_goes_with_it(fresh, image):
    def build(below: str, name: str, *words: str) -> str:
        fresh("create", "--network=none", "--name", "maker", below, "true")
        identity = fresh("commit", "-q", "-m", name, "maker", *words).stdout.strip()
        fresh("rm", "maker")
        return identity

    fresh("pull", "-q", image)
    first = build(image, "first")
    second = build(first, "second")
    last = build(second, "last", "last:1")
    hidden = fresh("images", "-q", "--filter", "intermediate=true").lines
    assert set(hidden) == {second[:12], first[:12]}
    assert fresh("rmi", "--no-prune", "last:1").lines[-1] == f"Deleted: {last}"
    last = build(second, "last", "last:1")
    fresh("create", "--network=none", "--name", "user", first, "true")
    done = fresh("rmi", "last:1")
    assert done.lines == ["Untagged: docker.io/library/last:1", f"Deleted: {last}", f"Deleted: {second}"]
    assert fresh("rmi", "--force", first).lines == [f"Deleted: {first}"]
    assert fresh("ps", "-aq").stdout == ""
    build(build(image, "again"), "more")
    assert len(fresh("rmi", "--all").lines) == 4
    assert fresh("images", "-aq").stdout == ""
