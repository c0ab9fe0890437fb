"""--annotation of `build`: of the image's manifest, or, as buildx says it, of the list of images.

[WHERE[,WHERE ...]:]KEY=VALUE     WHERE is manifest, manifest[OS/ARCH/VARIANT] or index
"""

from __future__ import annotations

from daemonless.containers import grammar
from daemonless.errors import Unsupported, printable
from daemonless.oci.image import Platform, parse_platform
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_PLACES = ("manifest", "index", "manifest-descriptor", "index-descriptor")


class Annotations(Record):
    """Those of one image, and those of the list that it may be on."""

    manifest: tuple[tuple[str, str], ...]
    index: tuple[tuple[str, str], ...]


def annotations_of(values: Iterable[str], platform: Platform) -> Annotations:
    """Return what the options say for an image of this platform. Raises UsageError or Unsupported."""
    manifest, index = [], []
    for text in values:
        key, value = grammar.key_value(text, "--annotation")
        places, name = _places(key)
        if not name:
            raise grammar.refusal("--annotation", text, "it has no key")
        for kind, wanted in places:
            if kind.endswith("-descriptor"):
                raise Unsupported(f"--annotation {printable(text)}: descriptors get no annotations")
            if kind == "index":
                index.append((name, value))
            elif not wanted or parse_platform(wanted) == platform:
                manifest.append((name, value))
    return Annotations(manifest=tuple(manifest), index=tuple(index))


def _places(key: str) -> tuple[list[tuple[str, str]], str]:
    """Return where an annotation goes, each with the platform it is for if any, and its key."""
    before, colon, name = key.partition(":")
    parts = [part.rstrip("]").partition("[")[::2] for part in before.split(",")]
    if colon and all(kind in _PLACES for kind, _ in parts):
        return parts, name
    return [("manifest", "")], key
