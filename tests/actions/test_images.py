"""images, history, image tree and untag on a store made by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from daemonless.errors import NotFound, UsageError
from daemonless.images.store import ImageStore

LAYERS = tuple(f"sha256:{digit * 64}" for digit in "123")
STEPS = (
    {"created": "2026-11-20T10:00:00Z", "created_by": "ADD rootfs.tar /", "comment": "the base"},
    {"created": "2026-11-21T10:00:00Z", "created_by": 'CMD ["sh"]', "empty_layer": True},
    {"created": "2026-11-22T10:00:00Z", "created_by": f"RUN make {'x' * 60}"},
)


@pytest.fixture
def family(world: Any) -> list[Any]:
    """A base, what was built on it, and a stranger."""
    return [
        world.add_image("docker.io/library/base:1", {"Labels": {"a": "b"}}, LAYERS[:1], history=STEPS[:2]),
        world.add_image("docker.io/library/built:1", {}, LAYERS[:2], history=STEPS),
        world.add_image("docker.io/library/other:1", {}, LAYERS[2:]),
    ]


def short(image: Any) -> str:
    return str(image.id[7:19])


def test_history(family: list[Any], say: Any) -> None:
    base, built, _ = family
    heading, *steps = say("history", "built:1").splitlines()
    assert heading.split() == ["ID", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert [step.split()[0] for step in steps] == [short(built), short(base), "<missing>"]
    assert f"RUN make {'x' * 33}...  1 kB" in steps[0]
    assert "0 B" in steps[1]
    assert steps[2].endswith("1 kB        the base")
    full = say("history", "--no-trunc", "--human=false", "built:1")
    assert f"{built.id[7:]}  2026-11-22T10:00:00Z  RUN make {'x' * 60}  1000" in full
    assert say("history", "-q", "built:1").splitlines() == [short(built), short(base), "<missing>"]
    shown = json.loads(say("history", "--format", "json", "built:1"))
    assert shown[1] == {
        "id": base.id[7:],
        "created": "2026-11-21T10:00:00Z",
        "CreatedBy": 'CMD ["sh"]',
        "tags": ["docker.io/library/base:1"],
        "size": 0,
        "comment": "",
    }


def test_history_of_an_image_without_one_shows_its_layers(family: list[Any], say: Any) -> None:
    template = "{{.ID}} {{.CreatedBy}} {{.Size}}"
    assert say("history", "--format", template, "other:1") == f"{short(family[2])}  1 kB\n"


@pytest.mark.parametrize("history", ["x", [1, {"created_by": 3, "created": [], "comment": None}]])
def test_history_that_is_none(history: Any, world: Any, say: Any) -> None:
    image = world.add_image("docker.io/library/odd:1", {}, LAYERS[:1], history=history)
    template = "{{.ID}}|{{.Created}}|{{.CreatedBy}}"
    assert say("history", "--format", template, "odd:1") == f"{short(image)}|N/A|\n"


def test_tree(family: list[Any], say: Any) -> None:
    _, built, _ = family
    assert say("image", "tree", "built:1").splitlines() == [
        f"Image ID: {short(built)}",
        "Tags:     [docker.io/library/built:1]",
        "Size:     1.23kB",
        "Image Layers",
        "├── ID: 111111111111 Size: 1kB Top Layer of: [docker.io/library/base:1]",
        "└── ID: 222222222222 Size: 1kB Top Layer of: [docker.io/library/built:1]",
    ]
    assert say("image", "tree", "--whatrequires", "base:1").splitlines()[-1] == (
        f"└── ID: {short(built)} 1 more layer: [docker.io/library/built:1]"
    )


def test_untag(family: list[Any], world: Any, say: Any) -> None:
    base = family[0]
    say("tag", "base:1", "base:2", "base:3")
    say("untag", "base:1", "base:2")
    left = ("docker.io/library/base:1", "docker.io/library/base:3")
    assert ImageStore(world.paths.data).resolve(base.id).names == left
    with pytest.raises(NotFound, match=r"docker\.io/library/other:1 is no name of image"):
        world.run("untag", "base:1", "base:3", "other:1")
    assert len(ImageStore(world.paths.data).resolve(base.id).names) == 2
    say("untag", base.id)
    assert ImageStore(world.paths.data).resolve(base.id).names == ()
    with pytest.raises(UsageError, match="has no name"):
        world.run("untag", base.id)


def test_what_others_were_built_on_is_intermediate_and_not_dangling(family: list[Any], say: Any) -> None:
    base, built, other = family
    assert set(say("images", "--format", "{{.ID}} {{.ParentId}}").splitlines()) == {
        f"{short(other)} ",
        f"{short(base)} ",
        f"{short(built)} {base.id[7:]}",
    }
    say("untag", base.id)
    say("untag", other.id)

    def listed(*words: str) -> set[str]:
        return set(say("images", "-q", *words).split())

    assert listed() == {short(built), short(other)}
    assert listed("--all") == {short(base), short(built), short(other)}
    assert listed("--filter", "intermediate=true") == {short(base)}
    assert listed("--filter", "dangling=true") == {short(other)}
    assert listed("--filter", "dangling=false") == {short(built)}


def test_filters(family: list[Any], world: Any, say: Any) -> None:
    base, built, other = family
    world.add(1, "one", "2026-11-23T10:00:00Z", image_id=built.id)
    every = {short(image) for image in family}
    for text, expected in (
        ("containers=true", {short(built)}),
        ("containers=false", every - {short(built)}),
        ("readonly=true", set()),
        ("readonly=0", every),
        ("manifest=true", set()),
        (f"digest={other.digest}", {short(other)}),
        (f"digest={other.digest[7:19]}", {short(other)}),
        ("label=a", {short(base)}),
        ("label!=a", every - {short(base)}),
        ("label!=a=c", every),
        ("after=base:1", set()),
    ):
        assert set(say("images", "-q", "-f", text).split()) == expected, text
    with pytest.raises(UsageError, match='unknown filter "nonsense"') as caught:
        world.run("images", "--filter", "nonsense=1")
    assert "intermediate" in caught.value.hint


def test_fields_and_forms(family: list[Any], world: Any, say: Any) -> None:
    base = family[0]
    say("tag", "base:1", "base:2")
    world.add(1, "one", "2026-11-23T10:00:00Z", image_id=base.id)
    names = "docker.io/library/base:1, docker.io/library/base:2"
    first = say("images", "--history", "--noheading", "base").splitlines()[0]
    assert first.endswith(f"  1.23 kB     {names}")
    tree = say("images", "--tree", "base")
    assert tree.splitlines()[1].split() == [
        *("docker.io/library/base:1", short(base), "linux/amd64", "2.23", "kB", "1", "kB", "1")
    ]
    assert tree.splitlines()[2] == "└─ docker.io/library/base:2"
    template = '{{.Label "a"}} {{.Labels}} {{.Names}} {{.Dangling}} {{.ReadOnly}} {{.VirtualSize}}'
    assert say("images", "--format", template, "base:1") == (
        f"b map[a:b] [{names.replace(',', '')}] false false 1.23 kB\n"
    )
    shown = {entry["Id"]: entry for entry in json.loads(say("images", "--format", "json"))}
    assert shown[base.id[7:]]["Containers"] == 1
    assert shown[family[1].id[7:]]["ParentId"] == base.id[7:]


def test_inspect_knows_the_parent(family: list[Any], say: Any) -> None:
    base = family[0]
    assert say("inspect", "--format", "{{.Parent}}", "built:1") == f"{base.id[7:]}\n"
    assert json.loads(say("inspect", "built:1"))[0]["Parent"] == base.id[7:]
