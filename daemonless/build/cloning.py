"""A git repository's files, fetched with the git command into a directory of ours.

git runs with the caller's configuration and credentials but never asks for any, runs no hooks, and
speaks http(s), ssh and its own protocol only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from urllib.parse import unquote

from daemonless.build.gitrefs import GitRef
from daemonless.build.trees import OPEN_DIRECTORY, PATH_DIRECTORY, Tree
from daemonless.errors import DaemonlessError, InvalidData, NotFound, Unsupported, printable
from daemonless.files import open_beneath
from daemonless.layers.walk import walk
from daemonless.registry.errors import redact_url

_FULL = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_OPTIONS = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.autocrlf=false"),
    *("-c", "advice.detachedHead=false", "-c", "init.defaultBranch=main", "-c", "submodule.recurse=false"),
)
# A credential helper (gitcredentials(7)) is a line of shell; it is asked to remember and forget, too.
_HELPER = (
    '!f() { test "$1" != get || '
    'printf "username=%s\\npassword=%s\\n" "$DAEMONLESS_GIT_USER" "$DAEMONLESS_GIT_PASSWORD"; }; f'
)
_SETTINGS = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "http:https:git:ssh",
    "GIT_LFS_SKIP_SMUDGE": "0",
    "LC_ALL": "C",
}


def clone(found: GitRef, directory: str, *, keep_git_dir: bool, checksum: str = "") -> Tree:
    """Check a repository out below `directory`, which is new and ours, and return its files.

    Their times are the commit's. `checksum` is what the commit's id has to begin with. Raises NotFound
    for a ref or a subdirectory that is not there, InvalidData for another commit than was expected,
    Unsupported without git, DaemonlessError for what git cannot do.
    """
    work = f"{directory}/files"
    git = _Git(found, work)
    separate = [] if keep_git_dir else [f"--separate-git-dir={directory}/git"]
    git.run("init", "-q", "--template=", *separate, work, here=False)
    commit = git.fetch()
    git.run("checkout", "-q", "--detach", commit)
    for expected in filter(None, (checksum, found.checksum)):
        if not commit.startswith(expected.lower()):
            raise InvalidData(
                f"{git.name}: expected the commit {printable(expected)}, got {commit}",
                "the branch or tag has moved; review it, then change the checksum",
            )
    if found.submodules and os.path.lexists(f"{work}/.gitmodules"):
        git.update_submodules()
    modules = git.submodules()
    seconds = int(git.run("show", "-s", "--format=%ct", "HEAD"))
    top = os.open(work, PATH_DIRECTORY)
    try:
        if not keep_git_dir:
            for path in ("", *modules):
                _remove_pointer(top, path)
        _set_times(top, seconds * 10**9)
        return Tree(
            fd=open_below(top, found.subdirectory, git.name),
            name=git.name,
            identity=f"git {commit} {found.subdirectory} {keep_git_dir}",
        )
    finally:
        os.close(top)


class _Git:
    """Runs git for one repository."""

    def __init__(self, found: GitRef, work: str) -> None:
        program = shutil.which("git")
        if program is None:
            raise Unsupported("git is not installed", "sudo apt-get install git")
        self.name = redact_url(found.remote) if "://" in found.remote else printable(found.remote)
        self._program = program
        self._found = found
        self._remote, credentials = _apart(found.remote)
        self._work = work
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        ssh = {name: os.environ[name] for name in ("GIT_SSH", "GIT_SSH_COMMAND") if name in os.environ}
        self._environment = {**kept, **ssh, **_SETTINGS, **credentials}

    def run(self, *words: str, here: bool = True) -> str:
        """Run one command and return what it printed. Raises DaemonlessError."""
        where = ("-C", self._work) if here else ()
        done = subprocess.run(
            [self._program, *_OPTIONS, *where, *words],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"git {words[0]} failed"]
            reason = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1])
            reason = reason.replace(self._found.remote, self.name)  # it may hold a token
            raise DaemonlessError(f"cannot fetch {self.name}: {printable(reason)}")
        return done.stdout

    def fetch(self) -> str:
        """Fetch what is wanted, with as little history as the server allows; return the commit's id."""
        ref = self._found.ref
        self.run("remote", "add", "origin", self._remote)
        for depth in (("--depth=1",), ()):  # a server of plain files has no shallow copies
            try:
                self.run("fetch", "-q", "--no-tags", *depth, "origin", "--", ref or "HEAD")
                return self._commit("FETCH_HEAD")
            except DaemonlessError as error:
                failure = error
        if not ref or not re.fullmatch(r"[0-9a-f]{4,64}", ref):
            if "couldn't find remote ref" in failure.message:
                raise NotFound(f"{self.name} has no branch, tag or commit {printable(ref)!r}") from None
            raise failure
        # a commit that the server does not give by its id, or an abbreviated one
        self.run("fetch", "-q", "--tags", "origin", "--", "+refs/heads/*:refs/remotes/origin/*")
        try:
            return self._commit(ref)
        except DaemonlessError:
            raise NotFound(f"{self.name} has no branch, tag or commit {printable(ref)!r}") from None

    def _commit(self, name: str) -> str:
        commit = self.run("rev-parse", "--verify", "-q", "--end-of-options", f"{name}^{{commit}}").strip()
        if not _FULL.fullmatch(commit):
            raise DaemonlessError(f"cannot fetch {self.name}: git names the commit {printable(commit)!r}")
        return commit

    def update_submodules(self) -> None:
        """Check out the submodules, and theirs."""
        words = ("submodule", "--quiet", "update", "--init", "--recursive")
        try:
            self.run(*words, "--depth=1")
        except DaemonlessError:
            self.run(*words)

    def submodules(self) -> list[str]:
        """Return the paths of the submodules that are checked out, and of theirs."""
        lines = self.run("submodule", "status", "--recursive").splitlines()
        return [line[1:].split(" ")[1] for line in lines if line[:1] not in ("", "-")]


def _apart(remote: str) -> tuple[str, dict[str, str]]:
    """Return an http(s) address without its user and password, and variables that have git know them.

    So they are in no argument, which all users of the machine can read, nor in the repository, which may
    become part of an image.
    """
    scheme, _, rest = remote.partition("://")
    server, slash, path = rest.partition("/")
    credentials, _, host = server.rpartition("@")
    user, colon, password = credentials.partition(":")
    if not colon or scheme not in ("http", "https"):
        return remote, {}
    key = f"credential.{scheme}://{host}.helper"
    return f"{scheme}://{host}{slash}{path}", {
        "DAEMONLESS_GIT_USER": unquote(user),
        "DAEMONLESS_GIT_PASSWORD": unquote(password),
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": key,
        "GIT_CONFIG_VALUE_0": "",  # instead of the caller's
        "GIT_CONFIG_KEY_1": key,
        "GIT_CONFIG_VALUE_1": _HELPER,
    }


def _remove_pointer(top: int, path: str) -> None:
    """Remove the file .git, which says where the repository is."""
    try:
        fd = open_beneath(top, os.fsencode(path) or b".", PATH_DIRECTORY)
    except OSError:
        return
    try:
        os.unlink(".git", dir_fd=fd)
    except FileNotFoundError:
        pass
    finally:
        os.close(fd)


def _set_times(top: int, time_ns: int) -> None:
    times = (time_ns, time_ns)

    def visit(dir_fd: int, name: bytes, path: bytes) -> int:
        os.utime(name, ns=times, dir_fd=dir_fd, follow_symlinks=False)
        try:
            return os.open(name, OPEN_DIRECTORY, dir_fd=dir_fd)
        except OSError:  # no directory
            return -1

    walk(os.open(".", OPEN_DIRECTORY, dir_fd=top), visit)


def open_below(top: int, path: str, name: str) -> int:
    """Open a subdirectory; none of its components may be a link (CVE-2026-33748)."""
    fd = os.open(".", PATH_DIRECTORY, dir_fd=top)
    for part in path.split("/") if path else ():
        try:
            if part in ("", ".", ".."):
                raise NotADirectoryError
            inner = os.open(part, PATH_DIRECTORY, dir_fd=fd)
        except OSError:
            raise NotFound(f"{name} has no directory {printable(path)!r}") from None
        finally:
            os.close(fd)
        fd = inner
    return fd
