"""What evaluation makes of a stage: steps, each with its work and the image's config after it."""

from __future__ import annotations

from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class RunMount(Record):
    """One `--mount` of a RUN; a field that was not given has the frontend's default."""

    type: str  # bind, cache, tmpfs, secret or ssh
    target: str = ""
    source: str = ""
    from_: str = ""  # a stage, an image or a named context; empty: the context
    read_only: bool = False
    id: str = ""
    sharing: str = "shared"  # or private, locked
    size: int = 0  # bytes of a tmpfs; 0: the kernel's default
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    required: bool = False
    env: str = ""  # the variable that gets a secret


class RunWork(Record):
    """What a RUN executes."""

    args: tuple[str, ...]  # complete argv, shell included
    env: tuple[str, ...] = ()  # NAME=VALUE: the config's Env and the ARGs in force, no proxies
    mounts: tuple[RunMount, ...] = ()
    network: str = "default"  # none or host
    security: str = "sandbox"  # or insecure
    files: tuple[tuple[str, str], ...] = ()  # heredocs: (name, content), read-only at /dev/pipes/NAME


class CopyWork(Record):
    """What a COPY or an ADD copies, and where to."""

    is_add: bool
    sources: tuple[str, ...]
    inline: tuple[tuple[str, str], ...] = ()  # heredocs: (file name, content)
    destination: str  # absolute; a trailing slash is kept
    from_: str = ""  # a stage, a named context or an image; empty: the context
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    checksum: str = ""
    keep_git_dir: bool = False
    unpack: bool | None = None


class WorkdirWork(Record):
    """The directory that a WORKDIR makes where it is missing."""

    path: str


class Step(Record):
    """One instruction of a stage, evaluated."""

    first: int  # line, from 1
    last: int
    text: str  # one line, for people
    created_by: str  # BuildKit's form, for the image's history
    key: str  # canonical: all that the result depends on but the layers below and files' content
    config: dict[str, Any]  # the image's `config` section after this step
    work: RunWork | CopyWork | WorkdirWork | None = None  # None: it changes the config only
    author: str = ""


class Evaluated(Record):
    """A stage, evaluated."""

    steps: tuple[Step, ...]
    config: dict[str, Any]
    arguments: dict[str, str]  # ARGs in force at the end
    author: str = ""
