"""ADD of what is elsewhere: files at http(s) addresses, and git repositories."""

from __future__ import annotations

import os
from email.utils import parsedate_to_datetime
from hashlib import sha256
from urllib.parse import unquote, urlsplit

from daemonless.build.cloning import clone, open_below
from daemonless.build.gitrefs import parse_git
from daemonless.build.secrets import authorization
from daemonless.build.trees import PATH_DIRECTORY, Tree
from daemonless.errors import InvalidData, UsageError, printable
from daemonless.files import write_all
from daemonless.images.web import Download, open_url
from daemonless.oci.digest import Digest
from daemonless.registry.errors import redact_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemonless.build.runjob import Secret
    from daemonless.dockerfile.steps import CopyWork

_CHUNK = 1 << 18  # bytes
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_UNNAMED = "__unnamed__"  # as BuildKit calls it
_NO_HEADERS: Mapping[str, str] = {}  # shared and never changed


def remote_sources(work: CopyWork) -> list[str]:
    """Return the sources that have to be fetched. Raises UsageError for those that cannot be."""
    found = [source for source in work.sources if is_remote(source)]
    if found and not work.is_add:
        raise UsageError(f"COPY does not fetch {redact_url(found[0])}", "use ADD for it")
    if work.checksum and (len(found) != 1 or len(work.sources) != 1):
        raise UsageError("--checksum needs exactly one source, an http(s) address or a git repository")
    return found


def is_remote(source: str) -> bool:
    """Return whether a source is an address and not a path."""
    return source.startswith(("http://", "https://")) or parse_git(source) is not None


def fetch(source: str, work: CopyWork, directory: str, secrets: tuple[tuple[str, Secret], ...] = ()) -> Tree:
    """Fetch a source into `directory`, which is new and ours; return its files.

    Raises NotFound, InvalidData if it is not what --checksum says, UsageError, Unreachable.
    """
    found = parse_git(source)
    if found is None:
        headers = authorization(source, secrets)
        return fetch_file(source, directory, checksum=work.checksum, headers=headers)
    keep = work.keep_git_dir if found.keep_git_dir is None else found.keep_git_dir
    checksum = work.checksum.removeprefix("sha1:").removeprefix("sha256:").lower()
    return clone(found, directory, keep_git_dir=keep, checksum=checksum)


def fetch_into(
    source: str, work: CopyWork, directory: str, secrets: tuple[tuple[str, Secret], ...]
) -> dict[str, str]:
    """Make `directory` and fetch a source into it; return what `reopen` needs, in another process."""
    os.mkdir(directory, 0o700)
    tree = fetch(source, work, directory, secrets)
    return {"name": tree.name, "file": tree.file, "identity": tree.identity}


def reopen(source: str, directory: str, told: dict[str, str]) -> Tree:
    """Open what another process has fetched into `directory`."""
    found = parse_git(source)
    top = os.open(directory if found is None else f"{directory}/files", PATH_DIRECTORY)
    if found is not None:
        try:
            below = open_below(top, found.subdirectory, told["name"])
        finally:
            os.close(top)
        top = below
    return Tree(fd=top, name=told["name"], file=told["file"], identity=told["identity"])


def fetch_file(
    url: str, directory: str, *, checksum: str = "", name: str = "", headers: Mapping[str, str] = _NO_HEADERS
) -> Tree:
    """Fetch one file into `directory`; its name is the address's, its time that of Last-Modified.

    Without that header its time is 0, so that it does not depend on when it was fetched.
    """
    expected = _digest(checksum) if checksum else None
    name = name or _name_of(url)
    response = open_url(url, headers)
    digest = sha256()
    top = os.open(directory, PATH_DIRECTORY)
    try:
        fd = os.open(name, _NEW, 0o600, dir_fd=top)
        try:
            while data := response.read(_CHUNK):
                digest.update(data)
                write_all(fd, data)
            time_ns = _last_modified(response) * 10**9
            os.fchmod(fd, 0o600)
            os.utime(fd, ns=(time_ns, time_ns))
        finally:
            os.close(fd)
        if expected is not None and digest.hexdigest() != expected:
            raise InvalidData(
                f"{redact_url(url)}: expected sha256:{expected}, got sha256:{digest.hexdigest()}",
                "the file has changed; review it, then change the checksum",
            )
        return Tree(fd=os.dup(top), name=redact_url(url), file=name, identity=f"sha256 {digest.hexdigest()}")
    finally:
        response.close()
        os.close(top)


def _digest(text: str) -> str:
    try:
        digest = Digest(text)
    except InvalidData:
        raise UsageError(f"--checksum={printable(text)} is not sha256:HEX") from None
    if digest.algorithm != "sha256":
        raise UsageError(f"--checksum={printable(text)}: only sha256 is known")
    return digest.hex


def _name_of(url: str) -> str:
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    return _UNNAMED if name in ("", ".", "..") or "\0" in name else name


def _last_modified(response: Download) -> int:
    try:
        return max(0, int(parsedate_to_datetime(response.headers.get("last-modified", "")).timestamp()))
    except (TypeError, ValueError, OverflowError):
        return 0
