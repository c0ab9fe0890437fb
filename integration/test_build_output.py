"""Where the result of a build goes: directories, archives, layouts, registries, and what is tagged then."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
import subprocess
import tarfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Registry
from harness import Cli, Terminal

Place = Callable[..., Path]

FILES = """\
FROM BASE AS base
RUN mkdir -p /out/deep && echo text > /out/file && ln /out/file /out/deep/hard \\
 && ln -s ../file /out/deep/link && chmod 4750 /out/file && chmod 555 /out/deep \\
 && mkdir /out/gone && touch /out/gone/x
RUN rm -r /out/gone && echo more > /out/other && chown 7:8 /out/other
FROM scratch
COPY --from=base /out /
COPY --from=base /out/other /last/
"""


@pytest.fixture
def place(tmp_path: Path, image: str) -> Place:
    """Make a build context of a Dockerfile only."""

    def make(dockerfile: str) -> Path:
        directory = tmp_path / "context"
        directory.mkdir(exist_ok=True)
        (directory / "Dockerfile").write_text(dockerfile.replace("BASE", image))
        return directory

    return make


def tree(path: Path) -> dict[str, str]:
    """Return what is in a directory: kind, mode and content."""
    found = {}
    for each in sorted(path.rglob("*")):
        status = each.lstat()
        name, mode = str(each.relative_to(path)), stat.S_IMODE(status.st_mode)
        assert status.st_uid == os.getuid()
        if each.is_symlink():
            found[name] = f"-> {os.readlink(each)}"
        elif each.is_dir():
            found[name] = f"{mode:o}/"
        else:
            found[name] = f"{mode:o} {each.read_text()}"
    return found


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- the files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["DIR", "type=local,dest=DIR"])
def test_a_directory(cli: Cli, place: Place, tmp_path: Path, form: str) -> None:
    """The files are the user's; what is there already stays, and what is of the same name is replaced."""
    out = tmp_path / "out"
    (out / "last").mkdir(parents=True)
    (out / "last" / "mine").write_text("mine")
    (out / "file").write_text("old")
    before = cli("images", "--all", "--quiet").stdout
    built = cli("build", "--output", form.replace("DIR", str(out)), str(place(FILES)))
    assert built.stdout == ""
    assert tree(out) == {
        "deep": "555/",
        "deep/hard": "750 text\n",
        "deep/link": "-> ../file",
        "file": "750 text\n",
        "last": "755/",
        "last/mine": "644 mine",
        "last/other": "644 more\n",
        "other": "644 more\n",
    }
    assert (out / "file").stat().st_ino == (out / "deep" / "hard").stat().st_ino
    assert cli("images", "--all", "--quiet").stdout == before
    (out / "deep").chmod(0o755)


def test_a_directory_in_the_way_of_a_file(cli: Cli, place: Place, tmp_path: Path) -> None:
    (tmp_path / "out" / "other").mkdir(parents=True)
    (tmp_path / "out" / "other" / "mine").write_text("mine")
    failed = cli("build", "-o", str(tmp_path / "out"), str(place(FILES)), status=125)
    assert "Error: cannot overwrite directory other with a non-directory\n" in failed.stderr
    assert (tmp_path / "out" / "other" / "mine").read_text() == "mine"


def test_an_image_cannot_lead_out_of_the_directory(cli: Cli, place: Place, tmp_path: Path) -> None:
    """A link that was there before is not followed either."""
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "last").symlink_to("../elsewhere")
    failed = cli("build", "-o", str(tmp_path / "out"), str(place(FILES)), status=125)
    assert "last" in failed.stderr
    assert os.listdir(tmp_path / "elsewhere") == []


@pytest.mark.parametrize("form", ["-", "type=tar", "type=tar,dest=-", "type=tar,dest=FILE"])
def test_a_tar_archive(cli: Cli, place: Place, tmp_path: Path, form: str) -> None:
    """With the owners of the image, and nothing but the archive on standard output."""
    file = tmp_path / "out.tar"
    directory = place(FILES)
    command = f"daemonless build --output '{form.replace('FILE', str(file))}' {directory}"
    cli.shell(command if "FILE" in form else f"{command} > {file}")
    with tarfile.open(file) as archive:
        members = {member.name: member for member in archive}
    assert sorted(filter(None, (name.removeprefix("./").strip(".") for name in members))) == [
        *("deep", "deep/hard", "deep/link", "file", "last", "last/other", "other"),
    ]
    assert (members["other"].uid, members["other"].gid) == (7, 8)
    assert members["file"].mode == members["deep/hard"].mode == 0o4750


def test_the_same_bytes(fresh: Cli, cli: Cli, place: Place, tmp_path: Path) -> None:
    directory = str(place(FILES))
    for form in ("tar", "oci", "docker"):
        files = [tmp_path / f"{form}-{number}" for number in (1, 2)]
        for command, file in zip((cli, fresh), files, strict=True):
            command("build", "--timestamp=1700000000", "-o", f"type={form},dest={file}", directory)
        assert sha256(files[0]) == sha256(files[1]), form


# --- images in files ----------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["oci", "docker"])
def test_an_archive_of_the_image(fresh: Cli, place: Place, tmp_path: Path, form: str) -> None:
    directory = place('FROM BASE\nRUN echo inside > /inside\nCMD ["cat", "/inside"]\n')
    file = tmp_path / "image.tar"
    built = fresh(
        "build", "-o", f"type={form},name=stored:1,dest={file}", "--iidfile", f"{file}.id", str(directory)
    )
    assert built.stdout == ""
    assert fresh("image", "exists", "stored:1", status=1)
    loaded = fresh("load", "--input", str(file))
    assert "stored:1" in loaded.stdout
    assert fresh("run", "--rm", "--network=none", "stored:1").stdout == "inside\n"
    assert fresh.inspect("stored:1", "{{.Id}}") == Path(f"{file}.id").read_text().removeprefix("sha256:")


def test_an_archive_and_a_tag(cli: Cli, place: Place, tmp_path: Path) -> None:
    """With --tag the image is there as well, and several outputs are written from one build."""
    directory = str(place("FROM BASE\nRUN touch /x\n"))
    built = cli(
        *("build", "--tag", "both", "-o", f"type=docker,dest={tmp_path}/a.tar"),
        *("-o", str(tmp_path / "files"), "-o", f"type=oci,tar=false,dest={tmp_path}/layout", directory),
    )
    assert cli.inspect("both", "{{.Id}}") == built.stdout.strip()
    with tarfile.open(tmp_path / "a.tar") as archive:
        manifest = json.load(archive.extractfile("manifest.json") or io.BytesIO())
    assert manifest[0]["RepoTags"] == ["docker.io/library/both:latest"]
    assert (tmp_path / "files" / "x").exists()
    assert json.loads((tmp_path / "layout" / "index.json").read_text())["manifests"]
    cli("rmi", "both")
    cli("build", "--load", "-o", f"type=tar,dest={tmp_path}/b.tar", "--iidfile", f"{tmp_path}/id", directory)
    assert cli("image", "exists", (tmp_path / "id").read_text())


def test_an_archive_on_standard_output(cli: Cli, place: Place, tmp_path: Path) -> None:
    directory = place("FROM BASE\nRUN echo never on standard output\n")
    cli.shell(
        f"daemonless build --tag out -o type=oci {directory} > {tmp_path}/o; cd {tmp_path}; tar -tf o > list"
    )
    assert "oci-layout" in (tmp_path / "list").read_text().splitlines()
    assert cli("image", "exists", "out")
    cli("rmi", "out")


def test_a_terminal_gets_no_archive(cli: Cli, place: Place, terminal: Terminal) -> None:
    terminal.type(f"clear; daemonless build -o - {place(FILES)}")
    screen = terminal.wait_for("refusing to write an archive to a terminal")
    assert "RUN" not in screen


def test_a_failed_build_leaves_no_file(cli: Cli, place: Place, tmp_path: Path) -> None:
    cli(
        "build",
        "-o",
        f"type=tar,dest={tmp_path}/out/x.tar",
        str(place("FROM BASE\nRUN exit 3\n")),
        status=125,
    )
    cli("build", "-o", f"type=tar,dest={tmp_path}/x.tar", str(place("FROM BASE\nRUN exit 3\n")), status=3)
    assert sorted(os.listdir(tmp_path)) == ["context"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["type=nonsense,dest=x"], "the types are local, tar, oci"),
        (["dest=x,push=true"], "it has no type"),
        (["type=local"], "it does not say where to"),
        (["type=local,dest=-"], "use type=tar"),
        (["type=tar,dest=x,name=y"], "name is no key of type=tar"),
        (["type=oci,dest=x,compression=lzma"], "there is no compression lzma"),
        (["type=oci,dest=x,compression=gzip,compression-level=77"], "gzip has no level 77"),
        (["-", "type=oci"], "two outputs cannot both go to standard output"),
        (["type=image,push=true"], "needs a name"),
        (["type=docker,dest=/nowhere/x"], "/nowhere is no directory"),
    ],
)
def test_what_is_no_output(cli: Cli, place: Place, words: list[str], said: str) -> None:
    options = [option for word in words for option in ("-o", word)]
    assert said in cli("build", *options, str(place("FROM BASE\n")), status=125).stderr


# --- layers -------------------------------------------------------------------------------------

SQUASHED = """\
FROM BASE AS first
RUN mkdir -p /a/old /b && echo 1 > /a/old/x && echo 2 > /b/kept && ln /b/kept /b/hard && mkfifo /b/f
RUN rm -r /a/old && mkdir /a/old && echo new > /a/old/y && chmod 700 /a/old && ln -s y /a/old/l
FROM first
RUN rm /bin/ls && echo 3 >> /a/old/y && rm -r /a/old && echo file > /a/old && chown 3:4 /b
COPY Dockerfile /b/t2
RUN rmdir /tmp 2>/dev/null; mkdir -p /tmp/deep/er && chmod 1777 /tmp && rm /b/t2
ENV LAST=yes
"""
LIST = """
cd /
find a b bin tmp | sort | while read f; do
    if [ -h $f ]; then echo $f "$(readlink $f)"
    elif [ -d $f ]; then stat -c '%n %A %u:%g %Y' $f
    elif [ -f $f ]; then stat -c "%n %A %u:%g %h $(md5sum < $f) %Y" $f
    else stat -c '%n %A %u:%g %h %Y' $f; fi
done
"""


def shown(cli: Cli, name: str) -> list[str]:
    """Return what can be seen of an image's files: names, modes, owners, links, times and contents."""
    return cli("run", "--rm", "--network=none", name, "/bin/busybox", "sh", "-c", LIST).lines


@pytest.mark.parametrize(("option", "layers"), [("--squash", 2), ("--squash-all", 1), ("--layers=false", 2)])
def test_squash(fresh: Cli, place: Place, option: str, layers: int) -> None:
    """The same files and the same config in fewer layers; what has gone is not in them."""
    directory = str(place(SQUASHED))
    fresh("build", "--tag", "plain", directory)
    built = fresh("build", option, "--tag", "squashed", directory)
    assert "[squash] " in built.stderr
    assert len(json.loads(fresh.inspect("squashed", "{{json .RootFS.Layers}}"))) == layers
    if option == "--layers=false":
        assert "CACHED" not in built.stderr
        drop = re.compile(r" \d+$")  # made anew, at another time
        assert [drop.sub("", line) for line in shown(fresh, "squashed")] == [
            drop.sub("", line) for line in shown(fresh, "plain")
        ]
    else:
        assert shown(fresh, "squashed") == shown(fresh, "plain")
        assert fresh("build", option, directory).stdout == built.stdout
    assert fresh.inspect("squashed", "{{json .Config}}") == fresh.inspect("plain", "{{json .Config}}")
    history = fresh("history", "--no-trunc", "--format", "{{.CreatedBy}} {{.Size}}", "squashed").lines
    assert any(line.startswith("RUN /bin/sh -c rm /bin/ls") for line in history)
    assert len(history) == len(fresh("history", "--quiet", "plain").lines) + 1


def test_squash_of_one_layer_is_none(cli: Cli, place: Place) -> None:
    directory = str(place("FROM BASE\nRUN touch /only\n"))
    plain = cli("build", directory)
    squashed = cli("build", "--squash", directory)
    assert squashed.stdout == plain.stdout
    assert "[squash]" not in squashed.stderr


def test_options_of_other_builders(cli: Cli, place: Place) -> None:
    built = cli(
        *("build", "--rm", "--force-rm=false", "--compress", "--disable-content-trust", "--builder", "mine"),
        *("--isolation=chroot", "--layers", "--rm=false", "--provenance=false", "--sbom", "false"),
        *("--pull=false", str(place("FROM BASE\n"))),
    )
    assert "Warning" not in built.stderr


def test_attestations_are_refused(cli: Cli, place: Place) -> None:
    failed = cli("build", "--provenance=mode=max", str(place("FROM BASE\n")), status=125)
    assert failed.stderr.splitlines() == [
        "Error: cannot make attestations, which --provenance=mode=max asks for",
        "Hint: leave --provenance out, or say --provenance=false",
    ]


# --- registries ---------------------------------------------------------------------------------


def manifest_of(registry: Registry, name: str) -> dict[str, Any]:
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    path, _, tag = name.partition(":")
    request = urllib.request.Request(f"http://{registry.address}/v2/{path}/manifests/{tag}", headers=accept)
    with urllib.request.urlopen(request, timeout=20) as answer:
        manifest: dict[str, Any] = json.load(answer)
    return manifest


def test_push(cli: Cli, place: Place, registry: Registry) -> None:
    """--push is for each name; type=image has names of its own."""
    directory = str(place("FROM BASE\nRUN touch /pushed\n"))
    names = [f"{registry.address}/built/{name}" for name in ("a:1", "b:2", "c:3")]
    built = cli("build", "--push", "--tag", names[0], "--tag", names[1], directory)
    assert f"Pushing {names[0]}" in built.stderr
    for name in ("a:1", "b:2"):
        assert manifest_of(registry, f"built/{name}")["config"]["digest"] == f"sha256:{built.stdout.strip()}"
    built = cli(
        *("build", "--quiet", "--output", f"type=registry,name={names[2]},compression=zstd"),
        *("--output", "type=docker", directory),
    )
    assert built.stderr == ""
    media_types = {layer["mediaType"] for layer in manifest_of(registry, "built/c:3")["layers"]}
    assert "application/vnd.oci.image.layer.v1.tar+zstd" in media_types
    assert cli.inspect(names[2], "{{.Id}}") == built.stdout.strip()
    cli("rmi", *names)


def test_a_push_that_fails_leaves_the_image(cli: Cli, place: Place) -> None:
    failed = cli(
        *("build", "--push", "--retry", "0", "--tag", "127.0.0.1:1/nowhere", str(place("FROM BASE\n"))),
        status=125,
    )
    assert "127.0.0.1:1" in failed.stderr
    assert cli("image", "exists", "127.0.0.1:1/nowhere")
    cli("rmi", "127.0.0.1:1/nowhere")


def test_skopeo_reads_what_is_written(cli: Cli, place: Place, tmp_path: Path) -> None:
    directory = str(place("FROM BASE\nLABEL read=yes\n"))
    for form in ("oci", "docker"):
        cli("build", "-o", f"type={form},name=read:1,dest={tmp_path}/{form}.tar", directory)
        command = [
            "skopeo",
            "--insecure-policy",
            "inspect",
            "--config",
            f"{form}-archive:{tmp_path}/{form}.tar",
        ]
        shown = subprocess.run(command, capture_output=True, check=True, timeout=30)
        assert json.loads(shown.stdout)["config"]["Labels"]["read"] == "yes"
