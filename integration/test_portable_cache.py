"""Build caches that travel: in a directory, an archive, a registry, an image; and bad ones."""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from conftest import Registry, make_cli
from harness import Cli

DOCKERFILE = """
FROM BASE AS work
RUN --mount=type=cache,id=kept,target=/cache test -e /cache/n || echo 1 >/cache/n; head -c9 /dev/random >/made
ENV A=1
FROM BASE
COPY --from=work /made /made
RUN --mount=type=cache,id=kept,target=/cache head -c30000 /dev/urandom >/random; chown 7:8 /random; \\
    echo 2 > /cache/n
LABEL l=1
"""


@pytest.fixture
def context(tmp_path: Path, image: str) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    (directory / "Dockerfile").write_text(DOCKERFILE.replace("BASE", image))
    return directory


@pytest.fixture
def other(scratch: Path) -> Iterator[Callable[[], Cli]]:
    """Make stores as other machines have them."""
    made: list[Path] = []

    def make() -> Cli:
        made.append(Path(tempfile.mkdtemp(prefix="other-", dir=scratch)))
        return make_cli(made[-1])

    yield make
    for directory in made:
        make_cli(directory)("system", "reset", "--force")


def build(cli: Cli, context: Path, *options: str) -> tuple[str, list[str], str]:
    """Build and return the image's id, what came of each step that makes a layer, and what was told."""
    built = cli("build", *options, str(context))
    made = re.findall(r"^#(\d+) \[.*\] (?:RUN|COPY)", built.stderr, re.M)
    ends = dict(re.findall(r"^#(\d+) (CACHED|DONE)", built.stderr, re.M))
    return built.stdout, [ends[number] for number in dict.fromkeys(made)], built.stderr


def change_last_step(context: Path) -> None:
    """Make the last RUN one of its own, which shows what is in its cache mount."""
    path = context / "Dockerfile"
    text = path.read_text().replace("echo 2 > /cache/n", "echo in the mount: $(cat /cache/n)")
    path.write_text(text)


@pytest.mark.parametrize("name", ["cache", "cache.tar"])
def test_a_cache_in_files(fresh: Cli, other, context: Path, tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    to, back = f"type=local,dest={place}", f"type=local,src={place}"
    image_id, ends, told = build(fresh, context, "--cache-to", f"{to},mode=max", "--cache-from", back)
    assert ends == ["DONE"] * 3
    assert f"there is no build cache in {back}" in told
    assert place.is_dir() == (name == "cache")
    second = other()
    same_id, ends, _ = build(second, context, "--cache-from", back)
    assert (same_id, ends) == (image_id, ["CACHED"] * 3)
    assert (
        second("run", "--rm", "--network=none", same_id.strip(), "stat", "-c", "%u:%g", "/random").stdout
        == "7:8\n"
    )
    assert not list(second.root.glob("build/mounts/*")), "nothing needed it"
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    assert build(second, context)[:2] == (image_id, ["CACHED"] * 3)


def test_cache_mounts_travel(fresh: Cli, other, context: Path, tmp_path: Path) -> None:
    place = tmp_path / "cache"
    to, back = f"type=local,dest={place}", f"type=local,src={place}"
    build(fresh, context, "--cache-to", f"{to},mode=max")
    change_last_step(context)
    second = other()
    _, ends, told = build(second, context, "--cache-from", back, "--cache-to", to)
    assert "in the mount: 2" in told
    assert ends == ["CACHED", "CACHED", "DONE"]


def test_only_what_the_image_consists_of_is_saved_unless_asked(
    fresh: Cli, other, context: Path, tmp_path: Path
) -> None:
    build(fresh, context, "--cache-to", f"type=local,dest={tmp_path}/min")
    build(fresh, context, "--cache-to", f"type=local,dest={tmp_path}/max,mode=max")
    assert build(other(), context, "--cache-from", f"type=local,src={tmp_path}/max")[1] == ["CACHED"] * 3
    ends = build(other(), context, "--cache-from", f"type=local,src={tmp_path}/min")[1]
    assert ends[0] == "DONE"


def read_cache(place: Path) -> dict:
    def blob(digest: str) -> bytes:
        return (place / "blobs" / digest.replace(":", "/")).read_bytes()

    index = json.loads((place / "index.json").read_text())
    (entry,) = index["manifests"]
    return json.loads(blob(json.loads(blob(entry["digest"]))["config"]["digest"]))


def test_builds_are_merged_up_to_a_size_and_nothing_is_left_over(
    fresh: Cli, other, context: Path, tmp_path: Path, image: str
) -> None:
    place = tmp_path / "cache"
    texts = []
    for number in range(4):
        (context / "Dockerfile").write_text(
            f"FROM {image}\nRUN head -c 100000 /dev/urandom > /file-{number}\nENV N={number}\n"
        )
        build(fresh, context, "--cache-to", f"type=local,dest={place},max-size=250k")
        texts.append(sorted(step["text"][-1] for step in read_cache(place)["steps"] if step["layer"]))
    assert texts == [["0"], ["0", "1"], ["1", "2"], ["2", "3"]]
    assert len(list((place / "blobs/sha256").iterdir())) == 4
    assert sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) < 260_000
    assert all(path.lstat().st_uid == os.getuid() for path in place.rglob("*"))
    assert sorted(path.name for path in place.iterdir()) == ["blobs", "index.json", "oci-layout"]


def test_a_cache_in_a_registry(fresh: Cli, other, context: Path, registry: Registry) -> None:
    name = f"{registry.address}/cached"
    for to, back in (
        (f"type=registry,ref={name}:max,mode=max", f"type=registry,ref={name}:max"),
        (f"{name}/layers", f"{name}/layers"),
    ):
        image_id, _, told = build(fresh, context, "--cache-to", to, "--cache-from", back)
        assert f"there is no build cache in {back}" in told
        assert build(other(), context, "--cache-from", back)[:2] == (image_id, ["CACHED"] * 3)


def test_builds_are_merged_in_a_registry_which_keeps_its_images(
    fresh: Cli, other, context: Path, registry: Registry, image: str
) -> None:
    place = f"type=registry,ref={registry.address}/merged:cache"
    texts = []
    for number in range(3):
        (context / "Dockerfile").write_text(
            f"FROM {image}\nRUN head -c 100000 /dev/urandom > /file-{number}\nENV N={number}\n"
        )
        texts.append((context / "Dockerfile").read_text())
        build(fresh, context, "--cache-to", f"{place},max-size=250k")
    for text, ends in zip(texts, (["DONE"], ["CACHED"], ["CACHED"]), strict=True):
        (context / "Dockerfile").write_text(text)
        assert build(other(), context, "--cache-from", place)[1] == ends
    name = f"{registry.address}/merged:image"
    build(fresh, context, "--tag", name)
    fresh("push", "--quiet", name)
    _, _, told = build(fresh, context, "--cache-to", f"type=registry,ref={name}")
    assert "the build cache was not saved" in told and "not a build cache" in told
    other()("pull", "--quiet", name)


def test_a_blob_that_was_damaged_is_written_anew(
    fresh: Cli, other, context: Path, tmp_path: Path, image: str
) -> None:
    """The step gives the same bytes again, so nothing but their damage tells the blobs apart."""
    place = tmp_path / "cache"
    to, back = f"type=local,dest={place}", f"type=local,src={place}"
    (context / "Dockerfile").write_text(f"FROM {image}\nRUN echo 1 > /file\n")
    same = ("--timestamp", "1700000000")
    build(fresh, context, "--cache-to", to, *same)
    before = {path.name: path.read_bytes() for path in (place / "blobs/sha256").iterdir()}
    damage_blobs(place)
    _, ends, told = build(other(), context, "--cache-from", back, "--cache-to", to, *same)
    assert ends == ["DONE"] and "is corrupt" in told
    (layer,) = [step["layer"]["descriptor"]["digest"][7:] for step in read_cache(place)["steps"]]
    assert (place / "blobs/sha256" / layer).read_bytes() == before[layer]
    assert build(other(), context, "--cache-from", back, *same)[1] == ["CACHED"]


def test_a_cache_in_an_image(fresh: Cli, other, context: Path, registry: Registry, image: str) -> None:
    (context / "Dockerfile").write_text(f"FROM {image}\nRUN date +%N > /made\nENV A=1\nRUN date > /again\n")
    name = f"{registry.address}/inline:1"
    options = (("--cache-to", "type=inline"), ("--build-arg", "BUILDKIT_INLINE_CACHE=1"))
    ids = {build(fresh, context, "--tag", name, *words)[0] for words in options}
    assert len(ids) == 1
    fresh("push", "--quiet", name)
    second = other()
    image_id, ends, _ = build(second, context, "--cache-from", name, "--cache-to", "type=inline")
    assert ({image_id}, ends) == (ids, ["CACHED"] * 2)
    plain = f"{registry.address}/inline:2"
    build(fresh, context, "--tag", plain)
    fresh("push", "--quiet", plain)
    third = other()
    _, ends, told = build(third, context, "--cache-from", f"type=registry,ref={plain}")
    assert ends == ["DONE"] * 2
    assert "not built with BUILDKIT_INLINE_CACHE=1" in told


def test_the_history_of_an_image_is_no_cache(fresh: Cli, other, context: Path, tmp_path: Path) -> None:
    build(fresh, context, "--tag", "made", "--cache-to", "type=inline")
    fresh("save", "--quiet", "--output", str(tmp_path / "made.tar"), "made")
    second = other()
    second("load", "--quiet", "--input", str(tmp_path / "made.tar"))
    assert build(second, context)[1] == ["DONE"] * 3


def damage_list(place: Path) -> None:
    (place / "index.json").write_text("{")


def damage_blobs(place: Path) -> None:
    for path in (place / "blobs/sha256").iterdir():
        if path.read_bytes()[:1] != b"{":
            path.write_bytes(bytes(path.stat().st_size))


def lose_blobs(place: Path) -> None:
    for path in (place / "blobs/sha256").iterdir():
        if path.read_bytes()[:1] != b"{":
            path.unlink()


def lie(place: Path) -> None:
    """Give all steps the layer of one, with the diff_id of another."""
    layers = [step["layer"] for step in read_cache(place)["steps"] if step["layer"]]
    lying = {**layers[0], "descriptor": layers[1]["descriptor"]}
    rewrite(place, lambda found: [step.update(layer=lying) for step in found["steps"] if step["layer"]])


def no_keys(place: Path) -> None:
    rewrite(place, lambda found: [step.update(key="../../x") for step in found["steps"]])


def rewrite(place: Path, change: Callable[[dict], object]) -> None:
    """Change the list of a cache, and all digests that follow from it."""

    def put(document: dict) -> tuple[str, int]:
        data = json.dumps(document).encode()
        digest = sha256(data).hexdigest()
        (place / "blobs/sha256" / digest).write_bytes(data)
        return f"sha256:{digest}", len(data)

    found = read_cache(place)
    change(found)
    index = json.loads((place / "index.json").read_text())
    (entry,) = index["manifests"]
    manifest = json.loads((place / "blobs" / entry["digest"].replace(":", "/")).read_text())
    manifest["config"]["digest"], manifest["config"]["size"] = put(found)
    entry["digest"], entry["size"] = put(manifest)
    (place / "index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("damage", [damage_list, damage_blobs, lose_blobs, lie, no_keys])
def test_a_damaged_cache_is_told_of_and_the_build_goes_on(
    fresh: Cli, other, context: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    place = tmp_path / "cache"
    build(fresh, context, "--cache-to", f"type=local,dest={place},mode=max")
    damage(place)
    change_last_step(context)
    second = other()
    _, ends, told = build(
        second,
        context,
        "--cache-from",
        f"type=local,src={place}",
        "--cache-to",
        f"type=local,dest={place},mode=max",
    )
    assert "DONE" in ends
    assert "cache" in told and "Traceback" not in told
    assert f"in the mount: {2 if damage is lie else 1}" in told
    assert second("system", "check").stdout == ""
    third = other()
    assert build(third, context, "--cache-from", f"type=local,src={place}")[1] == ["CACHED"] * 3


def test_an_archive_of_a_cache_mount_stays_in_it(fresh: Cli, other, context: Path, tmp_path: Path) -> None:
    """A hostile cache: its archive climbs out, its mount calls itself by another's name."""
    place = tmp_path / "cache"
    build(fresh, context, "--cache-to", f"type=local,dest={place}")
    hostile = tmp_path / "hostile.tar.gz"
    with tarfile.open(hostile, "w:gz") as archive:
        member = tarfile.TarInfo("../../../escaped")
        archive.addfile(member)
    data = hostile.read_bytes()
    digest = sha256(data).hexdigest()
    (place / "blobs/sha256" / digest).write_bytes(data)

    def change(found: dict) -> None:
        (mount,) = found["mounts"]
        mount["descriptor"].update(digest=f"sha256:{digest}", size=len(data))

    rewrite(place, change)
    change_last_step(context)
    second = other()
    _, _, told = build(second, context, "--cache-from", f"type=local,src={place}")
    assert "in the mount: 1" in told
    # What the build threw away is being removed meanwhile: rglob() would fail on it
    assert not any("escaped" in names for _, _, names in os.walk(second.root))
    rewrite(place, lambda found: found["mounts"][0].update(name="0" * 32))
    _, _, told = build(other(), context, "--cache-from", f"type=local,src={place}")
    assert "a cache mount begins empty" in told


def test_what_cannot_be_a_cache(fresh: Cli, context: Path, tmp_path: Path) -> None:
    for option, value, message in (
        ("--cache-to", "type=gha", "type=gha is the cache service of GitHub"),
        ("--cache-from", "type=gha", "type=gha is the cache service of GitHub"),
        ("--cache-to", "type=local", "it needs one dest=DIRECTORY"),
        ("--cache-from", "type=inline", "is not a type of cache"),
        ("--cache-to", "type=registry", "it needs ref=NAME"),
        ("--cache-to", "type=local,dest=/x,mode=all", "neither min nor max"),
        ("--cache-to", "type=local,dest=/x,other=1", 'it has no "other"'),
        ("--cache-to", "type=local,dest=/x,max-size=1x", "it is not a whole number"),
    ):
        failed = fresh("build", option, value, str(context), status=125)
        assert message in failed.stderr and failed.stderr.count("\n") <= 2, failed
    (tmp_path / "file").touch()
    _, ends, told = build(fresh, context, "--cache-to", f"type=local,dest={tmp_path}/file/x")
    assert ends == ["DONE"] * 3
    assert "the build cache was not saved to" in told
