"""Build contexts of every kind, and which Dockerfile and .dockerignore count."""

from __future__ import annotations

import bz2
import io
import os
import tarfile
import time

import pytest
from servers import git, serve

from daemonless.build import elsewhere
from daemonless.build.contexts import open_context, open_named, parse_named
from daemonless.errors import DaemonlessError, InvalidData, NotFound, UsageError


@pytest.fixture
def staging(tmp_path):
    return f"{tmp_path}/staging"


@pytest.fixture
def opened(base, staging, monkeypatch, tmp_path):
    """Open a context with some bytes as standard input, and close it at the end."""
    found = []

    def opened(argument, stdin=b"", **options):
        (tmp_path / "stdin").write_bytes(stdin)
        fd = os.open(tmp_path / "stdin", os.O_RDONLY)
        monkeypatch.setattr(elsewhere, "reader", lambda _fd: lambda size: os.read(fd, size))
        try:
            context = open_context(str(argument), staging, **options)
        finally:
            os.close(fd)
        found.append(context)
        return context

    yield opened
    for context in found:
        os.close(context.tree.fd)


def names(context):
    fd = os.open(".", os.O_RDONLY, dir_fd=context.tree.fd)
    try:
        return set(os.listdir(fd))
    finally:
        os.close(fd)


def tar(**files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:bz2") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size, info.uid = len(content), 12345
            archive.addfile(info, io.BytesIO(content.encode()))
    return stream.getvalue()


# --- directories, and their files --------------------------------------------------------------


def test_a_directory_is_read_where_it_lies(context, opened):
    (context / "Dockerfile").write_text("FROM scratch\n")
    found = opened(context)
    assert (found.dockerfile, found.dockerfile_name) == (b"FROM scratch\n", "Dockerfile")
    assert found.directory == str(context) and found.tree.ignore is None and found.ignore_name == ""
    (context / "Containerfile").write_text("FROM busybox\n")
    assert opened(context).dockerfile == b"FROM busybox\n"


def test_a_current_directory_that_was_removed(tmp_path, opened, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(NotFound, match="the current directory was removed"):
        opened(".")


def test_which_dockerfile_is_meant(context, opened, tmp_path, monkeypatch):
    (context / "sub").mkdir()
    (context / "Dockerfile").write_text("default")
    (context / "sub" / "Other").write_text("in the context")
    (tmp_path / "Outside").write_text("outside")
    assert opened(context, file="sub/Other").dockerfile == b"in the context"
    assert opened(context, file=str(tmp_path / "Outside")).dockerfile == b"outside"
    assert opened(context, b"stdin", file="-").dockerfile == b"stdin"
    monkeypatch.chdir(tmp_path)
    assert opened(context, file="Outside").dockerfile == b"outside"
    with pytest.raises(NotFound, match="there is no Dockerfile nothing here or in the context"):
        opened(context, file="nothing")
    with pytest.raises(UsageError, match="cannot both be standard input"):
        opened("-", file="-")


def test_without_a_dockerfile(context, opened, tmp_path):
    with pytest.raises(NotFound, match="no Containerfile or Dockerfile in"):
        opened(context)
    (context / "dockerfile").touch()
    with pytest.raises(NotFound) as told:
        opened(context)
    assert "Dockerfile" in told.value.hint
    with pytest.raises(NotFound, match="is not a directory"):
        opened(context / "dockerfile")
    with pytest.raises(NotFound, match="No such file or directory"):
        opened(tmp_path / "nothing")


def test_which_ignore_file_counts(context, opened, tmp_path):
    (context / "Dockerfile").write_text("FROM scratch\n")
    (context / "dir").mkdir()
    (context / "dir" / "D").write_text("FROM scratch\n")
    (tmp_path / "Out").write_text("FROM scratch\n")
    expected = [
        (".dockerignore", {}),
        (".containerignore", {}),
        ("Dockerfile.containerignore", {}),
        ("Dockerfile.dockerignore", {}),
        ("dir/D.dockerignore", {"file": "dir/D"}),
    ]
    for name, options in expected:
        (context / name).write_text(f"{name}\n")
        found = opened(context, **options)
        assert found.ignore_name == name and found.tree.hides(name)
    (tmp_path / "Out.dockerignore").write_text("outer")
    assert opened(context, file=str(tmp_path / "Out")).tree.hides("outer")
    assert opened(context, file=f"{context}/Dockerfile").ignore_name == f"{context}/Dockerfile.dockerignore"
    assert opened(context, ignore_file=f"{tmp_path}/Out.dockerignore").tree.hides("outer")
    assert opened(context, b"FROM x", file="-").ignore_name == ".containerignore"
    (context / "Dockerfile.dockerignore").write_text("[")
    with pytest.raises(UsageError, match=r"Dockerfile\.dockerignore:1"):
        opened(context)


@pytest.mark.parametrize("name", ["Dockerfile", ".dockerignore", "Dockerfile.dockerignore"])
@pytest.mark.parametrize("kind", ["link out", "absolute link", "fifo", "directory", "large", "loop"])
def test_hostile_files_are_refused(base, context, opened, name, kind):
    """Security row 38."""
    (context / "Dockerfile").write_text("FROM scratch\n")
    path = context / name
    path.unlink(missing_ok=True)
    if kind == "link out":
        path.symlink_to("../canary")
    elif kind == "absolute link":
        path.symlink_to(base / "canary")
    elif kind == "loop":
        path.symlink_to(name)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.touch()
        os.truncate(path, 1 << 30)
    begun = time.monotonic()
    with pytest.raises(DaemonlessError) as told:
        opened(context)
    assert time.monotonic() - begun < 2 and "canary" not in told.value.message
    if name != ".dockerignore" and kind in ("link out", "absolute link"):
        with pytest.raises(DaemonlessError):
            opened(context, file=f"{context}/Dockerfile") if name != "Dockerfile" else opened(context)


def test_links_within_the_context_are_followed(context, opened):
    (context / "docker").mkdir()
    (context / "docker" / "File").write_text("FROM linked\n")
    (context / "Dockerfile").symlink_to("docker/File")
    assert opened(context).dockerfile == b"FROM linked\n"


# --- standard input, addresses, repositories --------------------------------------------------


def test_an_archive_on_standard_input(opened):
    data = tar(Dockerfile="FROM scratch\n", dir__file="x", **{".dockerignore": "ignored"})
    found = opened("-", data)
    assert found.dockerfile == b"FROM scratch\n" and names(found) == {"Dockerfile", "dir", ".dockerignore"}
    assert found.tree.hides("ignored") and os.path.exists(f"{found.directory}/dir/file")
    assert os.stat(f"{found.directory}/dir/file").st_uid == os.geteuid()


def test_another_dockerfile_of_an_archive(opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Other").write_text("not this one")
    found = opened("-", tar(Dockerfile="1", Other="2", a__b="3"), file="./Other")
    assert found.dockerfile == b"2"


def test_a_path_leads_out_of_no_foreign_context(opened, tmp_path):
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(NotFound, match="there is no Dockerfile"):
        opened("-", tar(Dockerfile="1"), file=f"{tmp_path}/secret")


@pytest.mark.parametrize("stdin", [b"FROM scratch\n", b"", b"# comment\n" + b"RUN x\n" * 100_000])
def test_a_dockerfile_on_standard_input_has_no_context(opened, stdin):
    found = opened("-", stdin)
    assert found.dockerfile == stdin and names(found) == set()


def test_too_large_a_dockerfile(opened):
    with pytest.raises(InvalidData, match="standard input is larger than"):
        opened("-", bytes(17 << 20))


def test_a_bad_archive_and_a_bad_name(opened, base, staging):
    with pytest.raises(InvalidData, match="standard input is compressed, but not"):
        opened("-", tar(Dockerfile="x" * 5000)[:-50] + b"x" * 50)
    os.rename(staging, f"{staging}.old")
    with pytest.raises(InvalidData, match="standard input: the archive ends too early"):
        opened("-", bz2.decompress(tar(Dockerfile="x" * 5000))[:2000])
    os.rename(staging, f"{staging}.older")
    with pytest.raises(InvalidData, match=r"\.\."):
        opened("-", tar(**{"..__canary": "changed"}))


def test_an_input_that_trickles_is_read_to_its_end(staging, monkeypatch):
    data = tar(Dockerfile="FROM scratch\n")
    rest = iter([data[i : i + 1] for i in range(len(data))])
    monkeypatch.setattr(elsewhere, "reader", lambda _fd: lambda size: next(rest, b""))
    context = open_context("-", staging)
    os.close(context.tree.fd)
    assert context.dockerfile == b"FROM scratch\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    top = tmp_path_factory.mktemp("site")
    (top / "context").write_bytes(tar(Dockerfile="FROM archive\n", file="x"))
    (top / "Dockerfile").write_text("FROM address\n")
    (top / "project").mkdir()
    git(top / "project", "init", "-q")
    (top / "project" / "sub").mkdir()
    (top / "project" / "sub" / "Dockerfile").write_text("FROM repository\n")
    (top / "project" / ".dockerignore").write_text("x\n")
    git(top / "project", "add", "-A")
    git(top / "project", "commit", "-qm", "one")
    git(top, "clone", "-q", "--bare", "project", "project.git")
    with serve(top) as address:
        yield address


def test_an_archive_at_an_address(site, opened):
    found = opened(f"{site}/context")
    assert found.dockerfile == b"FROM archive\n" and names(found) == {"Dockerfile", "file"}


def test_a_dockerfile_at_an_address(site, opened, context):
    found = opened(f"{site}/Dockerfile")
    assert found.dockerfile == b"FROM address\n" and names(found) == set()
    assert opened(context, file=f"{site}/Dockerfile").dockerfile == b"FROM address\n"


def test_an_address_without_a_file(site, opened):
    with pytest.raises(NotFound, match="there is no such file"):
        opened(f"{site}/nothing")


def test_a_repository_as_the_context(site, opened):
    found = opened(f"{site}/smart/project.git#main", file="sub/Dockerfile")
    assert found.dockerfile == b"FROM repository\n" and names(found) == {"sub", ".dockerignore"}
    assert found.tree.hides("x")


def test_a_repository_with_its_history(site, opened):
    found = opened(f"{site}/smart/project.git", file="sub/Dockerfile", keep_git_dir=True)
    assert names(found) == {"sub", ".dockerignore", ".git"}


def test_a_directory_of_a_repository(site, opened):
    found = opened(f"{site}/smart/project.git#main:sub")
    assert names(found) == {"Dockerfile"} and os.listdir(found.directory) == ["Dockerfile"]


# --- --build-context --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=docker-image://alpine:3", ("a", "image", "alpine:3")),
        ("Base=oci-layout:///x@sha256:0", ("base", "layout", "/x@sha256:0")),
        ("a=target:build", ("a", "stage", "build")),
        ("a=../dir", ("a", "files", "../dir")),
        ("a=https://x/y.git", ("a", "files", "https://x/y.git")),
        ("alpine:3=b=c", ("alpine:3", "files", "b=c")),
    ],
)
def test_named_contexts(text, expected):
    found = parse_named(text)
    assert (found.name, found.kind, found.value) == expected


@pytest.mark.parametrize("text", ["a", "=x", "a=", ""])
def test_bad_named_contexts(text):
    with pytest.raises(UsageError, match="is not NAME=VALUE"):
        parse_named(text)


def test_a_named_context_has_its_own_ignore_file(context, staging, site):
    (context / ".dockerignore").write_text("x\n")
    tree, _ = open_named(parse_named(f"a={context}"), staging)
    os.close(tree.fd)
    assert tree.hides("x") and tree.name == "the context a"
    with pytest.raises(InvalidData, match="is not a tar archive"):
        open_named(parse_named(f"a={site}/Dockerfile"), staging)
    with pytest.raises(UsageError, match="cannot be standard input"):
        open_named(parse_named("a=-"), staging)
