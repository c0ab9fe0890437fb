"""`--output`: where the result of a build goes, in buildx's words.

    DIRECTORY, type=local,dest=DIRECTORY          the files, owned by the user
    -, type=tar[,dest=FILE]                       the files as a tar archive
    type=oci|docker,dest=FILE[,tar=false]         the image as an archive, for `load` and others
    type=image[,name=NAME][,push=true]            an image of the store, where it goes anyway; type=docker
                                                  without dest is the same
    type=registry[,name=NAME]                     type=image,push=true

The image outputs know compression, compression-level and force-compression, too.
"""

from __future__ import annotations

from daemonless.containers import grammar
from daemonless.containers.grammar_mounts import csv_fields
from daemonless.errors import Unsupported, UsageError, printable
from daemonless.layers.compress import LEVELS
from daemonless.record import Record

OPTION = "--output"
STDOUT = "-"
FILES = ("local", "tar")  # kinds that are the files, without an image around them
_KINDS = ("local", "tar", "oci", "docker", "image", "registry")
_IMAGES = ("compression", "compression-level", "force-compression", "name", "oci-mediatypes")
_KEYS = {
    "local": ("dest",),
    "tar": ("dest",),
    "oci": ("dest", "tar", *_IMAGES),
    "docker": ("dest", "tar", *_IMAGES),
    "image": ("push", *_IMAGES),
    "registry": ("push", *_IMAGES),
}


class Output(Record):
    """One place."""

    kind: str  # local, tar, oci, docker or image
    dest: str = ""  # a path, or STDOUT; of an image nothing
    names: tuple[str, ...] = ()  # of the image there; none: those of --tag
    push: bool = False
    as_directory: bool = False  # an OCI layout that is not archived
    compression: str = ""  # gzip, zstd or uncompressed
    level: int | None = None
    force: bool | None = None

    @property
    def is_file(self) -> bool:
        """Whether it is something else than an image of the store."""
        return self.kind != "image"

    @property
    def shown(self) -> str:
        """What a person calls the place."""
        return "standard output" if self.dest == STDOUT else printable(self.dest)


def parse_output(text: str) -> Output:
    """Return what an --output says. Raises UsageError, or Unsupported."""
    grammar.one_line(text, OPTION)
    fields = csv_fields(text, OPTION)
    if len(fields) == 1 and not text.startswith("type="):
        return Output(kind="tar" if text == STDOUT else "local", dest=_not_empty(text, text))
    keys: dict[str, str] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise grammar.refusal(OPTION, text, f"{printable(field)} is not KEY=VALUE")
        if key in keys:
            raise grammar.refusal(OPTION, text, f"{printable(key)} is given twice")
        keys[key] = value
    kind = keys.pop("type", "")
    if kind not in _KINDS:
        problem = f"type {printable(kind)} is none of them" if kind else "it has no type"
        raise grammar.refusal(OPTION, text, problem, f"the types are {', '.join(_KINDS)}")
    for key in keys:
        if key not in _KEYS[kind]:
            hint = f"its keys are {', '.join(_KEYS[kind])}"
            raise grammar.refusal(OPTION, text, f"{printable(key)} is no key of type={kind}", hint)
    return _output(kind, keys, text)


def _output(kind: str, keys: dict[str, str], text: str) -> Output:
    as_directory = not _boolean(keys, "tar", text, default=True)
    dest = keys.get("dest", "")
    if kind == "docker" and "dest" not in keys:
        kind = "image"
    if kind == "local" or as_directory:
        dest = _not_empty(dest, text)
        if dest == STDOUT:
            raise grammar.refusal(OPTION, text, "a directory cannot go to standard output", "use type=tar")
    if as_directory and kind == "docker":
        raise Unsupported("the docker format is an archive only", "use type=oci,tar=false")
    compression = keys.get("compression", "")
    if compression and compression not in (*LEVELS, "uncompressed"):
        known = ", ".join((*LEVELS, "uncompressed"))
        raise grammar.refusal(OPTION, text, f"there is no compression {printable(compression)} but {known}")
    return Output(
        kind="image" if kind == "registry" else kind,
        dest="" if kind in ("image", "registry") else dest or STDOUT,
        names=tuple(filter(None, keys.get("name", "").split(","))),
        push=_boolean(keys, "push", text, default=kind == "registry"),
        as_directory=as_directory,
        compression=compression,
        level=_level(keys, compression, text),
        force=_boolean(keys, "force-compression", text, default=False) or None,
    )


def _not_empty(dest: str, text: str) -> str:
    if not dest:
        raise grammar.refusal(OPTION, text, "it does not say where to", "add dest=DIRECTORY")
    return dest


def _boolean(keys: dict[str, str], key: str, text: str, *, default: bool) -> bool:
    value = keys.get(key)
    if value is None:
        return default
    if value not in ("true", "false", "1", "0"):
        raise grammar.refusal(OPTION, text, f"{key} is neither true nor false")
    return value in ("true", "1")


def _level(keys: dict[str, str], compression: str, text: str) -> int | None:
    if "compression-level" not in keys:
        return None
    levels = LEVELS.get(compression or "gzip", range(0))
    level = keys["compression-level"]
    if not (level.isascii() and level.isdigit() and len(level) < 3 and int(level) in levels):
        raise grammar.refusal(OPTION, text, f"{compression or 'gzip'} has no level {printable(level)}")
    return int(level)


def check_together(outputs: tuple[Output, ...]) -> None:
    """Raise UsageError if several are to go to the same place."""
    places = [output.dest for output in outputs if output.dest]
    for output in outputs:
        if places.count(output.dest) > 1:
            raise UsageError(f"two outputs cannot both go to {output.shown}", "give each a dest of its own")
