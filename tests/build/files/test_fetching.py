"""ADD of addresses and repositories, from loopback servers."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import tarfile

import pytest
from copies import NOW, listing, work
from servers import git, serve

from daemonless.build.copying import copy_into
from daemonless.build.digests import digest_selection
from daemonless.build.fetching import fetch, is_remote, remote_sources
from daemonless.build.gitrefs import GitRef, parse_git
from daemonless.build.index import ContentIndex
from daemonless.build.selection import select
from daemonless.build.trees import Tree
from daemonless.errors import DaemonlessError, InvalidData, NotFound, UsageError


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A server's files: a file, an archive's name, and a repository with a branch, a tag and a submodule."""
    top = tmp_path_factory.mktemp("site")
    (top / "file").write_text("content")
    os.utime(top / "file", (1_500_000_000, 1_500_000_000))
    (top / "with space").write_text("space")
    for name in ("library", "project"):
        (top / name).mkdir()
        git(top / name, "init", "-q")
    (top / "library" / "inner").write_text("inner")
    git(top / "library", "add", "-A")
    git(top / "library", "commit", "-qm", "one")
    project = top / "project"
    (project / "dir" / "sub").mkdir(parents=True)
    (project / "dir" / "sub" / "deep").write_text("deep")
    (project / "README").write_text("one")
    (project / "tool").write_text("#!/bin/sh\n")
    (project / "tool").chmod(0o755)
    (project / "link").symlink_to("../../canary")
    (project / "way").symlink_to("/")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "one")
    git(project, "tag", "-am", "v1", "v1")
    git(project, "checkout", "-qb", "other")
    (project / "README").write_text("other")
    git(project, "commit", "-qam", "other")
    git(project, "checkout", "-q", "main")
    (project / "README").write_text("two")
    git(project, "commit", "-qam", "two")
    with serve(top) as address:
        git(project, "checkout", "-qb", "modules")
        git(project, "submodule", "--quiet", "add", f"{address}/smart/library/.git", "lib")
        git(project, "commit", "-qm", "modules")
        git(project, "checkout", "-q", "main")
        for name in ("library", "project"):
            git(top, "clone", "-q", "--bare", f"{top}/{name}", f"{name}.git")
            git(top / f"{name}.git", "config", "uploadpack.allowAnySHA1InWant", "false")
            git(top / f"{name}.git", "update-server-info")
        yield top, address


@pytest.fixture
def staging(tmp_path):
    (tmp_path / "staging").mkdir()
    return tmp_path / "staging"


@pytest.fixture
def add(staging, root):
    """ADD one remote source as the caller; returns the digest."""
    count = 0

    def add(source, destination, **fields):
        nonlocal count
        count += 1
        directory = staging / str(count)
        directory.mkdir()
        what = work(source, destination, is_add=True, **fields)
        assert remote_sources(what) == [source]
        open_before = len(os.listdir("/proc/self/fd"))
        tree = fetch(source, what, str(directory))
        assert len(os.listdir("/proc/self/fd")) == open_before + 1
        fd = os.open(root, os.O_PATH)
        try:
            selection = select(Tree(fd=-1), what, {source: tree})
            digest = digest_selection(selection, what, ContentIndex())
            copy_into(fd, selection, what, now_ns=NOW, single_id=True)
            return digest
        finally:
            os.close(tree.fd)
            os.close(fd)

    return add


# --- addresses --------------------------------------------------------------------------------


def test_a_file_is_private_and_as_old_as_the_server_says(site, root, add):
    address = site[1]
    first = add(f"{address}/file", "/d/")
    status = (root / "d" / "file").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o600, 1_500_000_000)
    add(f"{address}/file?x=1#y", "/other", chmod="755")
    assert stat.S_IMODE((root / "other").stat().st_mode) == 0o755
    add(f"{address}/with%20space", "/d/")
    assert add(f"{address}/moved", "/m") != first
    assert listing(root) == {
        "d": "/",
        "d/file": "content",
        "d/with space": "space",
        "other": "content",
        "m": "content",
    }


def test_checksums(site, root, add):
    address = site[1]
    right = hashlib.sha256(b"content").hexdigest()
    add(f"{address}/file", "/f", checksum=f"sha256:{right}")
    wrong = "0" * 64
    with pytest.raises(InvalidData, match=f"/file: expected sha256:{wrong}, got sha256:{right}"):
        add(f"{address}/file", "/g", checksum=f"sha256:{wrong}")
    for text in ("sha256:123", right, "md5:1", "sha512:" + "0" * 128):
        with pytest.raises(UsageError, match="--checksum="):
            add(f"{address}/file", "/g", checksum=text)
    assert not (root / "g").exists()


@pytest.mark.parametrize(
    ("path", "message"), [("/nothing", "there is no such file"), ("/refused", "the server answers 403")]
)
def test_what_cannot_be_fetched(site, add, path, message):
    with pytest.raises(NotFound, match=f"cannot fetch {site[1]}{path}: {message}"):
        add(site[1] + path, "/x")


def test_a_server_that_is_not_there_and_addresses_with_passwords(add):
    with pytest.raises(DaemonlessError, match=r"cannot fetch http://127\.0\.0\.1:1/x: Connection refused"):
        add("http://127.0.0.1:1/x", "/x")
    with pytest.raises(UsageError) as told:
        add("http://me:secret@127.0.0.1:1/x", "/x")
    assert "secret" not in told.value.message


def test_which_sources_are_remote():
    for source in ("http://x/y", "https://x/y.git", "git@host:path", "ssh://git@x/y", "git://x/y"):
        assert is_remote(source)
        with pytest.raises(UsageError, match="COPY does not fetch"):
            remote_sources(work(source, "/x"))
    for source in ("file", "dir/x.git", "github.com/a/b", "a:b", "./git@host:path", "http:/x"):
        assert not is_remote(source)
    with pytest.raises(UsageError, match="exactly one source"):
        remote_sources(work("http://x/y", "http://x/z", "/d/", is_add=True, checksum="sha256:0"))
    with pytest.raises(UsageError, match="exactly one source"):
        remote_sources(work("file", "/d/", is_add=True, checksum="sha256:0"))


def test_a_fetched_archive_is_unpacked_only_when_asked(site, root, add):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        info = tarfile.TarInfo("inside")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    (site[0] / "a.tar.gz").write_bytes(stream.getvalue())
    add(f"{site[1]}/a.tar.gz", "/d/")
    add(f"{site[1]}/a.tar.gz", "/e/", unpack=True)
    assert os.listdir(root / "d") == ["a.tar.gz"] and listing(root / "e") == {"inside": "x"}


# --- repositories -----------------------------------------------------------------------------

FILES = {
    "README": "two",
    "tool": "#!/bin/sh\n",
    "dir": "/",
    "dir/sub": "/",
    "dir/sub/deep": "deep",
    "link": "-> ../../canary",
    "way": "-> /",
}


@pytest.fixture
def project(site):
    return f"{site[1]}/smart/project.git"


@pytest.mark.parametrize("way", ["/smart", ""])
def test_a_repository(site, root, add, way):
    """From git's own server, and from one of plain files, which has no shallow copies."""
    project = f"{site[1]}{way}/project.git"
    commit = git(site[0] / "project.git", "rev-parse", "main")
    assert add(project, "/default") == add(f"{project}#main", "/main")
    add(f"{project}#other", "/other")
    add(f"{project}#v1", "/tag")
    add(f"{project}#{commit}", "/commit")
    add(f"{project}#{commit[:10]}", "/short")
    add(f"{project}?ref=other", "/query")
    add(f"{project}#refs/heads/other", "/full")
    for name, readme in (
        *(("default", "two"), ("main", "two"), ("other", "other"), ("tag", "one"), ("commit", "two")),
        *(("short", "two"), ("query", "other"), ("full", "other")),
    ):
        assert listing(root / name) == FILES | {"README": readme}, name
    assert (root / "main" / "tool").stat().st_mode & 0o777 == 0o755
    assert (root / "main" / "README").stat().st_mtime == 1_600_000_000


def test_a_subdirectory_is_a_real_one(root, add, project):
    add(f"{project}#main:dir", "/d")
    add(f"{project}#:dir/sub", "/e")
    assert listing(root / "d") == {"sub": "/", "sub/deep": "deep"} and listing(root / "e") == {"deep": "deep"}
    for path in ("nothing", "way", "way/etc", "link", "../..", "README", "dir/../dir"):
        with pytest.raises(NotFound, match="has no directory"):
            add(f"{project}#main:{path}", "/x")


def test_the_repository_itself_is_kept_when_asked(root, add, project):
    add(project, "/without")
    add(project, "/with", keep_git_dir=True)
    add(f"{project}?keep-git-dir=true", "/query")
    assert not (root / "without" / ".git").exists()
    assert (root / "with" / ".git" / "HEAD").exists() and (root / "query" / ".git" / "HEAD").exists()
    assert git(root / "with", "status", "--porcelain") == ""


def test_a_password_is_in_no_argument_and_in_no_file(site, root, add, tmp_path, monkeypatch):
    (tmp_path / "git").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/log\nexec {shutil.which("git")} "$@"\n')
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    private = f"{site[1].replace('//', '//name:sesame@')}/smart/private/project.git"
    add(private, "/with", keep_git_dir=True)
    assert (root / "with" / "README").read_text() == "two"
    assert "fetch" in (tmp_path / "log").read_text()
    kept = [path for path in (root / "with" / ".git").rglob("*") if path.is_file()]
    assert not [path for path in (*kept, tmp_path / "log") if b"sesame" in path.read_bytes()]
    with pytest.raises(DaemonlessError, match=r"cannot fetch http://127") as caught:
        add(private.replace("sesame", "another-one"), "/x")
    assert "another-one" not in str(caught.value)


def test_the_commit_can_be_asserted(site, root, add, project):
    commit = git(site[0] / "project.git", "rev-parse", "v1^{commit}")
    add(f"{project}#v1", "/a", checksum=commit)
    add(f"{project}#v1", "/b", checksum=commit[:12])
    add(f"{project}?tag=v1&checksum={commit[:8]}", "/c")
    with pytest.raises(InvalidData, match=f"expected the commit {commit}, got"):
        add(f"{project}#main", "/d", checksum=commit)
    assert not (root / "d").exists()


def test_submodules(site, root, add):
    project = f"{site[1]}/smart/project.git"
    add(f"{project}#modules", "/with")
    add(f"{project}?branch=modules&submodules=false", "/without")
    assert listing(root / "with")["lib/inner"] == "inner"
    assert not list((root / "with").rglob(".git")) and not list((root / "without" / "lib").iterdir())


def test_a_ref_that_is_not_there(add, project):
    for ref in ("nothing", "0123456789abcdef0123456789abcdef01234567", "abcdef0"):
        with pytest.raises(NotFound, match=f"has no branch, tag or commit '{ref}'"):
            add(f"{project}#{ref}", "/x")
    with pytest.raises(DaemonlessError, match=r"cannot fetch http://.*/nothing\.git: fatal"):
        add(f"{project.rpartition('/')[0]}/nothing.git", "/x")


def test_hooks_and_local_protocols_are_not_used(tmp_path, add, project, monkeypatch):
    trap = tmp_path / "hooks"
    trap.mkdir()
    (trap / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/trapped\n")
    (trap / "post-checkout").chmod(0o755)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.hooksPath")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(trap))
    add(project, "/x")
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://h/a/b.git", GitRef(remote="https://h/a/b.git")),
        ("https://h/b.git#v1", GitRef(remote="https://h/b.git", ref="v1")),
        ("https://h/b.git#v1:a/b/", GitRef(remote="https://h/b.git", ref="v1", subdirectory="a/b")),
        ("https://h/b.git#:a", GitRef(remote="https://h/b.git", subdirectory="a")),
        ("git@h:a/b#main", GitRef(remote="git@h:a/b", ref="main")),
        ("ssh://git@h:22/b#main", GitRef(remote="ssh://git@h:22/b", ref="main")),
        ("git://h/b", GitRef(remote="git://h/b")),
        (
            "https://h/b.git?subdir=a&submodules=0",
            GitRef(remote="https://h/b.git", subdirectory="a", submodules=False),
        ),
        ("https://h/b.tar.gz", None),
        ("https://h/b.git/file", None),
        ("file:///a/b.git", None),
        ("ext::sh -c x", None),
        ("-u@h:x", None),
        ("https://h/b.git#a:b?x", GitRef(remote="https://h/b.git", ref="a", subdirectory="b?x")),
        ("./b.git", None),
        ("b.git", None),
        ("github.com/a/b", None),
    ],
)
def test_names_of_repositories(text, expected):
    assert parse_git(text) == expected


def test_short_names_of_repositories():
    assert parse_git("github.com/a/b#c", short=True) == GitRef(remote="https://github.com/a/b.git", ref="c")
    assert parse_git("github.com/a/b.git", short=True) == GitRef(remote="https://github.com/a/b.git")
    assert parse_git("dir", short=True) is None


@pytest.mark.parametrize(
    "rest",
    [
        *("#-x", "#--upload-pack=touch", "#a b", "#a~1", "?foo=1", "?ref=a#b", "?checksum=xyz"),
        *("?keep-git-dir=maybe", "?subdir=a#:b"),
    ],
)
def test_bad_names_of_repositories(rest):
    with pytest.raises(UsageError):
        parse_git("https://h/b.git" + rest)
