"""What a stage's instructions come to once everything in them is expanded."""

from __future__ import annotations

from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class RunMount(Record):
    """One `RUN --mount`."""

    type: str  # bind, cache, tmpfs, secret or ssh
    target: str = ""  # absolute, or "" (a secret that is only a variable, ssh: the default)
    source: str = ""  # within from_; absolute
    from_: str = ""  # "" is the context, for a cache: an empty directory
    read_only: bool = False
    id: str = ""
    sharing: str = "shared"  # of a cache; or private, locked
    size: int = 0  # of a tmpfs, in bytes; 0: the kernel's default
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    required: bool = False
    env: str = ""  # of a secret: the variable that gets it

    @property
    def has_origin(self) -> bool:
        """Whether it shows, or begins with, files of a context, a stage or an image."""
        return self.type == "bind" or bool(self.from_)


class RunWork(Record):
    """A command to run."""

    args: tuple[str, ...]  # all of it, the shell included
    env: tuple[str, ...] = ()  # NAME=VALUE; the config's variables win over arguments; no proxies
    mounts: tuple[RunMount, ...] = ()
    network: str = "default"  # or none, host
    security: str = "sandbox"  # or insecure
    files: tuple[tuple[str, str], ...] = ()  # (name, content) to be executable at /dev/pipes/NAME


class CopyWork(Record):
    """Files to copy."""

    is_add: bool
    sources: tuple[str, ...] = ()
    inline: tuple[tuple[str, str], ...] = ()  # here-documents: (file name, content)
    destination: str  # absolute; ends with "/" if it must be a directory
    from_: str = ""  # "" is the context, else a stage's name or number, a named context or an image
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    checksum: str = ""
    keep_git_dir: bool = False
    unpack: bool | None = None  # None: archives of the context are unpacked, those of URLs are not


class WorkdirWork(Record):
    """A directory to make if it is not there; like BuildKit, it belongs to the config's User."""

    path: str


class Step(Record):
    """One instruction's effect."""

    first: int  # lines of the Dockerfile; of an ONBUILD trigger: those of the FROM
    last: int
    text: str  # for the progress display, on one line
    created_by: str  # history entry as BuildKit writes it
    key: str  # what its layer depends on, except parent layers and file contents; "" if it makes none
    config: dict[str, Any]  # the image's `config` section after it
    work: RunWork | CopyWork | WorkdirWork | None = None  # None: it changes the config only
    author: str = ""
    undefined: tuple[str, ...] = ()  # variables it uses that nothing declares, sorted


class Evaluated(Record):
    """A stage, ready to be built."""

    steps: tuple[Step, ...]
    config: dict[str, Any]
    arguments: dict[str, str]  # the ARGs in force at its end, for stages FROM this one
    author: str = ""
