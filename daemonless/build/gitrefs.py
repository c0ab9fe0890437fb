"""How a repository is named: https://HOST/PATH.git#REF:SUBDIRECTORY, and git's other forms.

The rules are BuildKit's: an http(s) address is a repository if its path ends in .git; git:// and
ssh:// ones are, and user@host:path. What to check out stands after "#", or in the query.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote

from daemonless.errors import UsageError, printable
from daemonless.record import Record

_SCP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*@[A-Za-z0-9.-]+:[^/#?][^#?]*")
_URL = re.compile(r"(https?|git|ssh)://[^/#?]+/?[^#?]*", re.ASCII)
_REF = re.compile(r"[^\s\x00-\x1f\x7f~^:?*\[\\-][^\s\x00-\x1f\x7f~^:?*\[\\]*")  # git-check-ref-format(1)
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_KNOWN = ("ref", "branch", "tag", "subdir", "checksum", "commit", "keep-git-dir", "submodules")


class GitRef(Record):
    """What to fetch, and what of it is meant."""

    remote: str
    ref: str = ""  # a branch, a tag or a commit; the default branch if empty
    subdirectory: str = ""
    checksum: str = ""  # what the commit's id begins with
    keep_git_dir: bool | None = None
    submodules: bool = True


def parse_git(text: str, *, short: bool = False) -> GitRef | None:
    """Return what `text` names, None if it is no repository. Raises UsageError for a bad one.

    With `short` (the build context), github.com/OWNER/NAME is one.
    """
    address, _, fragment = text.partition("#")
    remote, _, query = address.partition("?")
    if short and remote.startswith("github.com/"):
        remote = f"https://{remote}"
        if not remote.endswith(".git"):
            remote += ".git"
    if not _is_repository(remote):
        return None
    ref, _, subdirectory = fragment.partition(":")
    found = GitRef(remote=remote, ref=ref, subdirectory=subdirectory)
    if query:
        found = _with_query(found, query, text)
    if found.ref and not _REF.fullmatch(found.ref):
        raise UsageError(f"{printable(found.ref)!r} is not a branch, a tag or a commit")
    if found.checksum and not _COMMIT.fullmatch(found.checksum):
        raise UsageError(f"{printable(found.checksum)!r} is not a commit: 7 to 64 hexadecimal digits")
    return found.replace(subdirectory=found.subdirectory.strip("/"))


def _is_repository(remote: str) -> bool:
    if _SCP.fullmatch(remote):
        return True
    if not _URL.fullmatch(remote):
        return False
    return not remote.startswith("http") or remote.endswith(".git")


def _with_query(found: GitRef, query: str, text: str) -> GitRef:
    said = dict(parse_qsl(query, keep_blank_values=True))
    for name in said:
        if name not in _KNOWN:
            raise UsageError(f"{printable(text)} has the unknown query {printable(name)!r}")
    refs = [value for name, value in said.items() if name in ("ref", "branch", "tag")]
    checksum = said.get("checksum", said.get("commit", ""))
    if len(refs) + bool(found.ref) > 1 or ("subdir" in said and found.subdirectory):
        raise UsageError(f"{printable(text)} says twice what to check out")
    return found.replace(
        ref=unquote(refs[0]) if refs else found.ref,
        subdirectory=said.get("subdir", found.subdirectory),
        checksum=checksum,
        keep_git_dir=_flag(said, "keep-git-dir"),
        submodules=_flag(said, "submodules") is not False,
    )


def _flag(said: dict[str, str], name: str) -> bool | None:
    value = said.get(name)
    if value is None:
        return None
    if value.lower() not in ("", "true", "1", "false", "0"):
        raise UsageError(f"{name}={printable(value)} is neither true nor false")
    return value.lower() not in ("false", "0")
