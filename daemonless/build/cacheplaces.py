"""What `--cache-from` and `--cache-to` say, in the words of docker's buildx and of podman.

type=local,src=DIRECTORY    type=local,dest=DIRECTORY    the same with a file that ends in .tar
type=registry,ref=NAME      NAME
type=inline
"""

from __future__ import annotations

from daemonless.containers import grammar
from daemonless.errors import Unsupported, UsageError, printable
from daemonless.oci.reference import Reference, parse_reference
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LOCAL, REGISTRY, INLINE_TYPE = "local", "registry", "inline"
INLINE_CACHE = "BUILDKIT_INLINE_CACHE=1"
TAG = "buildcache"  # of a NAME that podman's users give without one

_PATHS = ("src", "dest")
# What says how BuildKit should write; this program has one way.
_IGNORED = frozenset(
    (
        *("compression", "compression-level", "force-compression", "oci-mediatypes", "image-manifest"),
        *("ignore-error", "tag", "digest"),
    )
)
_ELSEWHERE = {
    "gha": "the cache service of GitHub, to be used through its own action",
    "s3": "a service of Amazon",
    "azblob": "a service of Microsoft",
}


class Place(Record):
    """Where one cache is."""

    kind: str
    path: str = ""  # absolute; of a local one
    references: tuple[Reference, ...] = ()  # in a registry: the first of them that is there
    is_complete: bool = False  # mode=max: all stages, not only what the image consists of
    max_size: int | None = None  # bytes of blobs
    shown: str

    def __str__(self) -> str:
        return printable(self.shown, 200)


def parse_place(text: str, option: str, absolute: Callable[[str], str]) -> Place:
    """Parse one value of an option; `absolute` makes a path absolute.

    Raises UsageError, or Unsupported for what needs a service we do not have.
    """
    if "=" not in text:
        return _podman_place(text)
    fields: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise _refusal(text, option, f'"{printable(part)}" has no value')
        fields[name.strip().lower()] = value
    kind = fields.pop("type", REGISTRY if "ref" in fields else LOCAL)
    if kind in _ELSEWHERE:
        raise Unsupported(
            f"type={kind} is {_ELSEWHERE[kind]}: this program cannot use it",
            "keep a directory with your CI's own cache: type=local,dest=DIRECTORY",
        )
    if kind not in (LOCAL, REGISTRY, INLINE_TYPE) or (kind == INLINE_TYPE and option == "--cache-from"):
        raise _refusal(text, option, f'"{printable(kind)}" is not a type of cache')
    place = Place(
        kind=kind,
        path=_path(fields, text, option, absolute) if kind == LOCAL else "",
        references=(_reference(fields, text, option),) if kind == REGISTRY else (),
        is_complete=_mode(fields, text, option),
        max_size=grammar.size(fields.pop("max-size"), option) if "max-size" in fields else None,
        shown=text,
    )
    if unknown := sorted(set(fields) - _IGNORED):
        raise _refusal(text, option, f'it has no "{printable(unknown[0])}"')
    return place


def _podman_place(text: str) -> Place:
    """Return the place of a bare name: an image to docker, to podman a repository of layers."""
    reference = parse_reference(text)
    last = text.rpartition("/")[2]
    references: tuple[Reference, ...] = (reference,)
    if ":" not in last and "@" not in last:
        references = (reference.replace(tag=TAG), reference)
    return Place(kind=REGISTRY, references=references, is_complete=True, shown=text)


def _path(fields: dict[str, str], text: str, option: str, absolute: Callable[[str], str]) -> str:
    wanted = "src" if option == "--cache-from" else "dest"
    given = [fields.pop(name) for name in _PATHS if name in fields]
    if len(given) != 1 or "\0" in given[0] or given[0] == "-":
        raise _refusal(text, option, f"it needs one {wanted}=DIRECTORY")
    return absolute(given[0])


def _reference(fields: dict[str, str], text: str, option: str) -> Reference:
    if "ref" not in fields:
        raise _refusal(text, option, "it needs ref=NAME")
    return parse_reference(fields.pop("ref"))


def _mode(fields: dict[str, str], text: str, option: str) -> bool:
    mode = fields.pop("mode", "min")
    if mode not in ("min", "max"):
        raise _refusal(text, option, f'the mode "{printable(mode)}" is neither min nor max')
    return mode == "max"


def _refusal(text: str, option: str, reason: str) -> UsageError:
    example = "src" if option == "--cache-from" else "dest"
    return UsageError(
        f'{option} "{printable(text, 100)}": {reason}', f"write it like type=local,{example}=DIRECTORY"
    )
