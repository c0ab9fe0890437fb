"""manifest: lists of images, made here, pushed to docker-registry, and read there by skopeo."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from layouts import MANIFEST, busybox_layer, layer, make_layout

INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
RUN = ("run", "--rm", "--network=none", "--pull=never")


@pytest.fixture(scope="module")
def layouts(scratch: Path) -> dict[str, Path]:
    """An image that says for which processors it is."""
    return {
        name: make_layout(
            scratch / f"layout-list-{name}",
            [busybox_layer(), layer({"data/word": name.encode()})],
            architecture=name,
            config={"Cmd": ["cat", "/data/word"]},
        )
        for name in ("amd64", "arm64")
    }


@pytest.fixture
def here(fresh, layouts):
    """A user with the images amd64 and arm64."""
    for name, layout in layouts.items():
        fresh("pull", "--quiet", "--platform", f"linux/{name}", f"oci:{layout}")
        fresh("tag", f"localhost{layout}", name)
        fresh("untag", name, f"localhost{layout}")
    return fresh


@pytest.fixture(scope="module")
def there(registry, layouts) -> dict[str, str]:
    """The same images in the registry."""
    return {name: registry.push(layout, f"lists/app:{name}") for name, layout in layouts.items()}


def document(cli, name: str) -> dict:
    return json.loads(cli("manifest", "inspect", name).stdout)


def platforms(listed: dict) -> list[str]:
    return [
        "/".join(str(each["platform"][key]) for key in ("os", "architecture")) for each in listed["manifests"]
    ]


def raw(name: str, *options: str) -> dict:
    """Return what skopeo finds in a registry."""
    command = ["skopeo", "inspect", "--raw", "--tls-verify=false", *options, f"docker://{name}"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)


def config_of(name: str, architecture: str) -> dict:
    command = ["skopeo", "inspect", "--config", "--tls-verify=false", f"--override-arch={architecture}"]
    done = subprocess.run([*command, f"docker://{name}"], check=True, capture_output=True, timeout=60)
    return json.loads(done.stdout)


def test_a_list_of_images_of_this_machine(here, registry):
    name = f"{registry.address}/lists/local:1"
    [identity] = here("manifest", "create", name, "amd64", "arm64").lines
    assert len(identity) == 64
    assert platforms(document(here, name)) == ["linux/amd64", "linux/arm64"]
    [row] = here(
        "images", "--filter", "manifest=true", "--format", "{{.Repository}} {{.Id}} {{.IsManifestList}}"
    ).lines
    assert row == f"{registry.address}/lists/local {identity} true"
    done = here("manifest", "push", "--digestfile", f"{here.root.parent}/digest", name)
    listed = raw(name)
    assert platforms(listed) == ["linux/amd64", "linux/arm64"] and listed["mediaType"] == INDEX
    assert (here.root.parent / "digest").read_text() == done.stdout.strip()
    assert here("images", "--digests", "--format", "{{.Digest}}", name).lines == done.lines
    for architecture in ("amd64", "arm64"):
        assert config_of(name, architecture)["architecture"] == architecture
    assert here(*RUN, name).stdout == "amd64"
    again = here("push", name)  # the same, by its other name
    assert again.lines == done.lines and "already there" in again.stderr
    assert here("manifest", "push", "--quiet", "--rm", name).stdout.startswith(f"Untagged: {name}\nDeleted: ")
    assert here("manifest", "exists", name, status=1).stdout == ""
    assert here("image", "exists", "amd64").stdout == ""


def test_a_list_of_images_of_a_registry_fetches_no_layers(fresh, registry, there):
    name = f"{registry.address}/lists/app:both"
    fresh("manifest", "create", name, f"docker://{there['amd64']}")
    fresh("manifest", "add", name, there["arm64"])
    assert platforms(document(fresh, name)) == ["linux/amd64", "linux/arm64"]
    sizes = [path.stat().st_size for path in (fresh.root / "images/blobs/sha256").iterdir()]
    assert max(sizes) < 10_000
    done = fresh(*RUN, name, status=125)
    assert "the image for linux/amd64 of the list" in done.stderr
    command = done.stderr.partition("fetch it with: daemonless ")[2].split()
    fresh("manifest", "push", "--quiet", name)
    assert max(path.stat().st_size for path in (fresh.root / "images/blobs/sha256").iterdir()) < 10_000
    assert config_of(name, "arm64")["architecture"] == "arm64"
    fresh(command[0], "--quiet", *command[1:])
    assert fresh(*RUN, name).stdout == "amd64"


def test_layers_go_from_one_registry_to_another(fresh, private_registry, there, registry):
    name = f"{private_registry.address}/lists/moved:1"
    fresh("manifest", "create", "moved", *there.values())
    options = ("--creds", "u:p", "--tls-verify=false")
    before = (registry.directory / "log").read_text().count("authorization")
    done = fresh("manifest", "push", *options, "moved", name)
    assert "Pulling" in done.stderr and "Pushing" in done.stderr
    assert config_of_private(name)["architecture"] == "arm64"
    assert (registry.directory / "log").read_text().count("authorization") == before
    # what was fetched is the list's, and goes with it
    fresh("rmi", "moved")
    assert not list((fresh.root / "images/blobs/sha256").iterdir())


def config_of_private(name: str) -> dict:
    command = ["skopeo", "inspect", "--config", "--tls-verify=false", "--creds=u:p", "--override-arch=arm64"]
    done = subprocess.run([*command, f"docker://{name}"], check=True, capture_output=True, timeout=60)
    return json.loads(done.stdout)


def test_all_of_an_index_that_skopeo_copies(fresh, registry, there, tmp_path):
    source = f"{registry.address}/lists/app:index"
    fresh("manifest", "create", "--annotation", "made.by=test", source, *there.values())
    fresh("manifest", "push", "--quiet", source)
    fresh("manifest", "create", "--all", "copy", source)
    fresh("manifest", "create", "remote", f"docker://{source}")
    assert platforms(document(fresh, "remote")) == ["linux/amd64"]
    fresh("manifest", "create", "--all", "everything", f"docker://{source}")
    assert document(fresh, "everything")["manifests"] == raw(source)["manifests"]
    fresh("manifest", "add", "--arch", "arm64", "remote", f"docker://{source}")
    assert platforms(document(fresh, "remote")) == ["linux/amd64", "linux/arm64"]
    for form in ("oci", "v2s2"):
        name = f"{registry.address}/lists/converted:{form}"
        fresh("manifest", "push", "--quiet", "--format", form, "copy", name)
        assert raw(name)["mediaType"] == (INDEX if form == "oci" else DOCKER_LIST)
        assert config_of(name, "arm64")["architecture"] == "arm64"
        copy = ["skopeo", "--insecure-policy", "copy", "--all", "-q", "--src-tls-verify=false"]
        subprocess.run([*copy, f"docker://{name}", f"dir:{tmp_path}/{form}"], check=True, timeout=60)
        assert json.loads((tmp_path / form / "manifest.json").read_text()) == raw(name)


def test_compression_changes_the_members(here, registry):
    name = f"{registry.address}/lists/zstd:1"
    here("manifest", "create", name, "amd64", "arm64")
    here("manifest", "push", "--quiet", "--compression-format", "zstd", name)
    listed = raw(name)
    assert platforms(listed) == ["linux/amd64", "linux/arm64"]
    repository = name.rpartition(":")[0]
    for member in listed["manifests"]:
        manifest = raw(f"{repository}@{member['digest']}")
        assert {each["mediaType"].rpartition("+")[2] for each in manifest["layers"]} == {"zstd"}


def test_without_its_images(here, registry):
    name = f"{registry.address}/lists/alone:1"
    here("manifest", "create", name, "amd64")
    refused = here("manifest", "push", "--all=false", "--retry=0", name, status=125)
    assert "Error: " in refused.stderr
    here("push", "--quiet", "amd64", f"{registry.address}/lists/alone:amd64")
    assert here("manifest", "push", "--all=false", name).lines[-1].startswith("sha256:")


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "dir"])
def test_files(here, tmp_path, transport):
    here("manifest", "create", "both", "amd64", "arm64")
    place = f"{transport}:{tmp_path}/place" + ("" if transport == "dir" else ":both")
    here("manifest", "push", "--quiet", "both", place)
    for architecture in ("amd64", "arm64"):
        copy = f"oci:{tmp_path}/{architecture}:x"
        subprocess.run(
            ["skopeo", "--insecure-policy", f"--override-arch={architecture}", "copy", "-q", place, copy],
            check=True,
            timeout=60,
        )
        here("manifest", "create", architecture + "-list", copy)
        [member] = document(here, architecture + "-list")["manifests"]
        assert member["platform"]["architecture"] == architecture
        if transport != "dir":
            assert member["digest"] in [each["digest"] for each in document(here, "both")["manifests"]]


def test_a_docker_archive_holds_none(here, tmp_path):
    here("manifest", "create", "both", "amd64", "arm64")
    done = here("manifest", "push", "both", f"docker-archive:{tmp_path}/x.tar", status=125)
    assert "holds no lists of images" in done.stderr and not list(tmp_path.iterdir())
    here("save", "--quiet", "--output", f"{tmp_path}/one.tar", "both")  # the one for this machine
    assert here("load", "--quiet", "--input", f"{tmp_path}/one.tar").stdout.startswith("Loaded image: ")


def test_one_of_a_list_alone(here, registry, tmp_path):
    here("manifest", "create", "both", "amd64", "arm64")
    name = f"{registry.address}/lists/one:arm64"
    here("push", "--quiet", "--platform=linux/arm64", "both", name)
    assert raw(name)["mediaType"] == MANIFEST and config_of(name, "arm64")["architecture"] == "arm64"
    here("save", "--quiet", "--platform=arm64", "--format=oci-archive", "-o", f"{tmp_path}/x.tar", "both")
    command = ["skopeo", "inspect", "--override-arch=arm64", f"oci-archive:{tmp_path}/x.tar"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    assert found["Architecture"] == "arm64"
    assert "offers linux/amd64" in here("push", "--platform=linux/s390x", "both", name, status=125).stderr
    assert (
        "is for linux/amd64, not for linux/s390x"
        in here("save", "--platform=s390x", "amd64", status=125).stderr
    )


def test_annotate_and_remove(here):
    here("manifest", "create", "notes", "amd64", "arm64")
    digests = [each["digest"] for each in document(here, "notes")["manifests"]]
    options = (
        "--arch",
        "arm",
        "--variant",
        "v7",
        "--os-version",
        "1",
        "--os-features",
        "a,b",
        "--annotation",
        "k=v",
    )
    here("manifest", "annotate", *options, "notes", digests[1])
    changed = document(here, "notes")["manifests"][1]
    assert changed["platform"] == {
        "os": "linux",
        "architecture": "arm",
        "variant": "v7",
        "os.version": "1",
        "os.features": ["a", "b"],
    }
    assert changed["annotations"] == {"k": "v"}
    here("manifest", "annotate", "--index", "--annotation", "whole=yes", "notes")
    here("manifest", "annotate", "--variant", "v3", "notes", "amd64")
    assert document(here, "notes")["annotations"] == {"whole": "yes"}
    assert (
        "goes with --annotation alone"
        in here("manifest", "annotate", "--index", "--os=x", "notes", status=125).stderr
    )
    here("manifest", "remove", "notes", "amd64")
    assert [each["digest"] for each in document(here, "notes")["manifests"]] == digests[1:]
    assert "has no image" in here("manifest", "remove", "notes", digests[0], status=125).stderr
    assert here("image", "exists", "amd64").stdout == ""


def test_an_image_for_the_same_platform_takes_the_place_of_the_first(here, layouts, tmp_path):
    newer = make_layout(tmp_path / "newer", [busybox_layer()], config={"Cmd": ["echo", "newer"]})
    here("pull", "--quiet", f"oci:{newer}")
    here("tag", f"localhost{newer}", "newer")
    here("manifest", "create", "list", "amd64", "arm64")
    [old, arm] = document(here, "list")["manifests"]
    done = here("manifest", "create", "--amend", "list", "newer")
    assert f"Warning: {old['digest']} is on the list no more" in done.stderr
    assert platforms(document(here, "list")) == ["linux/amd64", "linux/arm64"]
    assert document(here, "list")["manifests"][1] == arm
    assert here(*RUN, "list").stdout == "newer\n"


def test_names_and_removal(here):
    identity = here("manifest", "create", "first").lines[0]
    other = here("manifest", "create", "other").lines[0]
    assert identity != other
    here("tag", "first", "second")
    here("manifest", "add", identity[:12], "amd64")
    assert (
        platforms(document(here, "second")) == ["linux/amd64"] and document(here, "other")["manifests"] == []
    )
    assert "is already in use" in here("manifest", "create", "first", status=125).stderr
    assert "is an image and no list" in here("manifest", "rm", "amd64", status=125).stderr
    assert "more than one name" in here("rmi", identity, status=125).stderr
    assert here("manifest", "rm", "second").stdout == "Untagged: docker.io/library/second:latest\n"
    # what is on a list stays, without a name, as long as the list does
    here("rmi", "amd64", "other")
    assert here(*RUN, "first").stdout == "amd64"
    here("image", "prune", "--force")
    here("create", "--network=none", "--name", "user", "first")
    assert here("ps", "--all", "--format", "{{.Image}}").lines == ["docker.io/library/first:latest"]
    assert here("inspect", "--format", "{{.Architecture}}", "first").lines == ["amd64"]
    assert "is in use by container user" in here("rmi", "first", status=2).stderr
    assert here("system", "check").stdout.count("damaged") == 0
    assert here("start", "--attach", "user").stdout == "amd64"
    here("rm", "user")
    assert here("rmi", "first").lines[-1] == f"Deleted: {identity}"
    here("rmi", "arm64")
    here("image", "prune", "--force")  # documents of lists as they were before
    assert not list((here.root / "images/blobs/sha256").iterdir())


def test_what_is_said_of_a_list_without_the_image(here):
    here("manifest", "create", "foreign", "arm64")
    done = here(*RUN, "foreign", status=125)
    assert "the list foreign does not exist for linux/amd64: it offers linux/arm64" in done.stderr
    assert "--platform linux/arm64" in done.stderr
    assert here("inspect", "--type=image", "foreign", status=125).stdout == "[]\n"
    assert here("rmi", "--all").stdout.count("Deleted: ") == 3


def test_inspect_asks_the_registry(fresh, registry, there):
    assert document(fresh, there["arm64"])["layers"] == raw(there["arm64"])["layers"]
    done = fresh("manifest", "inspect", f"{registry.address}/lists/none", "--retry=0", status=125)
    assert "Error: " in done.stderr and done.stdout == ""


def test_prune(here):
    here("manifest", "create", "kept", "amd64")
    here("manifest", "create", "nameless", "arm64")
    here("untag", "nameless")
    assert len(here("images", "--quiet", "--filter", "dangling=true").lines) == 1
    assert len(here("image", "prune", "--force").lines) == 1
    assert here("manifest", "exists", "kept").stdout == ""
    assert len(here("image", "prune", "--all", "--force").lines) == 3
    assert not list((here.root / "images/blobs/sha256").iterdir())


def test_tree(here):
    here("manifest", "create", "both", "amd64", "arm64")
    lines = here("images", "--tree", "both").lines
    assert [line.split()[-1] for line in lines[2:]] == ["linux/amd64", "linux/arm64"]


def test_images_in_another_compression_as_well(here, registry):
    name = f"{registry.address}/lists/both:1"
    here("manifest", "create", name, "amd64", "arm64")
    here("manifest", "push", "--quiet", "--add-compression", "zstd", name)
    listed = raw(name)
    assert platforms(listed) == ["linux/amd64", "linux/arm64"] * 2 and listed["mediaType"] == INDEX
    plain, zstd = listed["manifests"][:2], listed["manifests"][2:]
    assert [each["digest"] for each in plain] == [
        each["digest"] for each in document(here, name)["manifests"]
    ]
    assert all(each["annotations"] == {"io.github.containers.compression.zstd": "true"} for each in zstd)
    for each in zstd:
        manifest = raw(f"{name.rpartition(':')[0]}@{each['digest']}")
        assert all(layer["mediaType"].endswith("tar+zstd") for layer in manifest["layers"])
    here("rmi", name, "amd64")
    assert (
        here("run", "--rm", "--network=none", f"{name.rpartition(':')[0]}@{zstd[0]['digest']}").stdout
        == "amd64"
    )
    # once more, of what has both already: nothing is added
    here("manifest", "create", "--all", "again", f"docker://{name}")
    here("manifest", "push", "--quiet", "--add-compression", "zstd,gzip", "again", name)
    assert raw(name) == listed
    here("manifest", "create", "--all", "fewer", "again")
    assert len(here("rmi", "--platform", "linux/amd64", "fewer").lines) == 1  # they are on the other list
    assert platforms(document(here, "fewer")) == ["linux/arm64"] * 2
    here("rmi", "--platform", "linux/arm64", "fewer")  # the last ones go with the list
    here("manifest", "exists", "fewer", status=1)
    done = here("manifest", "push", "--add-compression", "lz4", "again", name, status=125)
    assert '"lz4" is no compression' in done.stderr
    for option in ("--all=false", "--format=v2s2", "--disable-compression"):
        here("manifest", "push", "--add-compression", "zstd", option, "again", name, status=125)


def test_one_platform_of_a_list(here):
    here("manifest", "create", "both", "amd64", "arm64")
    assert here("inspect", "--platform", "linux/arm64", "--format", "{{.Architecture}}", "both").lines == [
        "arm64"
    ]
    assert here("history", "--platform", "linux/arm64", "--quiet", "--no-trunc", "both").lines[0] == (
        here("inspect", "--format", "{{.Id}}", "arm64").stdout.strip()
    )
    done = here("inspect", "--platform", "linux/arm64", "amd64", status=125)
    assert "image amd64 is for linux/amd64, not for linux/arm64" in done.stderr
    assert "s390x" in here("history", "--platform", "linux/s390x", "both", status=125).stderr

    # an image that has a name of its own, and one that is another's
    done = here("rmi", "--platform", "linux/s390x", "both", status=1)
    assert "linux/amd64, linux/arm64" in done.stderr
    here("rmi", "--platform", "linux/arm64", "amd64", status=1)
    digest = document(here, "both")["manifests"][1]["digest"]
    before = sorted((here.root / "images/blobs/sha256").iterdir())
    done = here("rmi", "--platform", "linux/arm64", "both")
    assert done.lines == [f"Untagged: docker.io/library/both:latest@{digest}"]
    assert platforms(document(here, "both")) == ["linux/amd64"]
    here("manifest", "add", "both", "arm64")
    assert sorted((here.root / "images/blobs/sha256").iterdir()) == before

    # images of the list alone: one with a container, one without
    here("rmi", "amd64", "arm64")
    here("run", "--name", "user", *RUN[2:], "both")
    listed = document(here, "both")
    done = here("rmi", "--platform", "linux/amd64", "both", status=2)
    assert "the image for linux/amd64 of the list" in done.stderr and "user" in done.stderr
    assert document(here, "both") == listed
    assert here("rmi", "--platform", "linux/arm64", "both").lines[1].startswith("Deleted: ")
    assert len(list((here.root / "images/blobs/sha256").iterdir())) < len(before)
    here("manifest", "create", "more", "both")
    here("manifest", "annotate", "--os=plan9", "more", listed["manifests"][0]["digest"])
    here("manifest", "add", "more", "both")  # the last one goes with its list
    assert here("rmi", "--force", "--platform", "linux/amd64", "both").lines[0].startswith("Untagged: ")
    assert here("ps", "--all", "--quiet").stdout.strip() != ""  # the image is on the other list still
    assert here("image", "exists", "both", status=1).stdout == ""
    assert here("rmi", "--force", "more").lines
